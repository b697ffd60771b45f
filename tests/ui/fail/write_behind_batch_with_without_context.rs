//! A batch form that leaves a context out.

use cache_runtime::{Write, cached};

struct DbError;

impl From<cache_runtime::Error> for DbError {
    fn from(_: cache_runtime::Error) -> Self {
        Self
    }
}

impl std::fmt::Display for DbError {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

struct Db;

async fn all(_: Vec<Write<(u64, u64)>>) -> Result<(), DbError> {
    Ok(())
}

#[cached(pattern = "write-behind", key = "n:<id>", value = n, batch_with = all)]
async fn save(#[context] db: &Db, id: u64, n: u64) -> Result<(), DbError> {
    let _ = (db, id, n);
    Ok(())
}

fn main() {}
