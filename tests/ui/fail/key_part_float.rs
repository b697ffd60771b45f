//! An argument that has no one text form.

use cache_runtime::cached;

struct Db;

#[cached(key = "near:<latitude>")]
async fn near(latitude: f64) -> u64 {
    latitude as u64
}

fn main() {}
