//! A body that returns something else.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>")]
async fn load_user(id: u64) -> Result<u64, String> {
    if id == 0 {
        return Err(5);
    }
    Ok(id)
}

fn main() {}
