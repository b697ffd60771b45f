//! A placeholder that names a type.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<T>")]
async fn load_user<T: Into<u64>>(id: T) -> u64 {
    id.into()
}

fn main() {}
