//! A method that `#[async_trait]` has rewritten.

use cache_runtime::cached;

struct Loader;

impl Loader {
    #[cached(key = "user:<id>")]
    fn load<'a>(&'a self, id: u64) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(async move { id })
    }
}

fn main() {}
