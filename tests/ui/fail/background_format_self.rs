//! `self` inside of a format string.

use cache_runtime::cached;

#[derive(Clone, Debug)]
struct Repo;

impl Repo {
    #[cached(key = "user:<id>", stampede = "swr", refresh_after = "1m")]
    async fn load_user(&self, id: u64) -> String {
        format!("{self:?} {id}")
    }
}

fn main() {}
