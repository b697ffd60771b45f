//! A method of a trait that has no body.

use cache_runtime::cached;

trait Loader {
    #[cached(key = "user:<id>")]
    async fn load(&self, id: u64) -> u64;
}

fn main() {}
