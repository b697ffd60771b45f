//! The load that everybody wants, and the crowd that wants it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Barrier;

use super::Seen;
use crate::workload::User;

const LOAD: Duration = Duration::from_millis(50);

static LOADS: AtomicU64 = AtomicU64::new(0);
static LOADED: AtomicU64 = AtomicU64::new(u64::MAX);

/// What the annotated functions do on a miss.
pub(super) async fn load(id: u64) -> User {
    LOADS.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(LOAD).await;
    LOADED.fetch_min(now(), Ordering::SeqCst);
    User::new(id)
}

/// How many loads there were.
pub(super) fn loads() -> u64 {
    LOADS.load(Ordering::SeqCst)
}

/// Lets so many callers ask for one key at the same moment.
pub(super) async fn crowd<F, Fut>(callers: usize, id: u64, call: F) -> Seen
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = User> + Send + 'static,
{
    LOADS.store(0, Ordering::SeqCst);
    LOADED.store(u64::MAX, Ordering::SeqCst);
    let start = Arc::new(Barrier::new(callers));
    let waiting: Vec<_> = (0..callers)
        .map(|_| {
            let (start, call) = (Arc::clone(&start), call(id));
            tokio::spawn(async move {
                start.wait().await;
                assert_eq!(call.await.id, id);
                now()
            })
        })
        .collect();
    let mut served = 0;
    for caller in waiting {
        served = served.max(caller.await.expect("a subject panicked"));
    }
    let loaded = LOADED.load(Ordering::SeqCst);
    Seen {
        loads: LOADS.load(Ordering::SeqCst),
        loaded: (loaded != u64::MAX).then_some(loaded),
        served,
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_micros() as u64
}
