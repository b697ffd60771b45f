//! Two placeholders with nothing that keeps them apart.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<org>-<id>")]
async fn load_user(org: &str, id: &str) -> String {
    format!("{org}{id}")
}

fn main() {}
