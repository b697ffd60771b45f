//! An error in `#[invalidates]` above a writer, which is called as its `#[cached]` says.

use cache_runtime::{Error, cached, invalidates};

#[invalidates("n:<idd>")]
#[cached(pattern = "write-behind", key = "n:<id>", value = none)]
async fn save(#[context] db: &u64, id: u64) -> Result<(), Error> {
    let _ = (db, id);
    Ok(())
}

async fn caller() {
    let _ = save(1).await;
    let _ = save::key(1);
}

fn main() {}
