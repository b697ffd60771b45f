//! `consistency = "strict"`: where a reader must never see the old value, not even after a crash.
//!
//! A strict writer tells the cache before its body runs, and does not write if it cannot. So it may fail for the cache's
//! sake, and its error type must be able to say so.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cache_runtime::backend::Memory;
use cache_runtime::testing::{Fault, Faulty};
use cache_runtime::{Cache, cached, invalidates};

/// Who may open which door. Stands for a database.
#[derive(Debug, Default)]
struct Doors(Mutex<HashMap<String, bool>>);

impl Doors {
    fn table(&self) -> MutexGuard<'_, HashMap<String, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, thiserror::Error)]
enum DoorError {
    #[error("nobody is called {0}")]
    Unknown(String),
    #[error("nothing was changed: {0}")]
    Cache(#[from] cache_runtime::Error),
}

#[cached(key = "may-enter:<name>", consistency = "strict")]
async fn may_enter(doors: &Doors, name: &str) -> Result<bool, DoorError> {
    doors
        .table()
        .get(name)
        .copied()
        .ok_or_else(|| DoorError::Unknown(name.to_owned()))
}

#[invalidates("may-enter:<name>", consistency = "strict")]
async fn allow(doors: &Doors, name: &str, allowed: bool) -> Result<(), DoorError> {
    doors.table().insert(name.to_owned(), allowed);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), DoorError> {
    let (backend, faults) = Faulty::new(Memory::new());
    let cache = Cache::builder().backend(backend).build().await?;
    cache.install()?;

    let doors = Doors::default();
    allow(&doors, "Ada", true).await?;
    assert!(may_enter(&doors, "Ada").await?);

    // Readers cannot be told now, and one of them may hold on to the old answer. So the write is refused.
    faults.set(Fault::Down);
    match allow(&doors, "Ada", false).await {
        Err(error @ DoorError::Cache(_)) => println!("{error}"),
        other => panic!("a strict write goes ahead without its cache: {other:?}"),
    }
    assert!(
        may_enter(&doors, "Ada").await?,
        "the body did not run, and a read still works"
    );
    Ok(())
}
