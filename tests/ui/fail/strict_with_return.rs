//! A strict writer whose key reads its result.

use cache_runtime::invalidates;

#[invalidates("user:<return>", consistency = "strict")]
async fn create() -> Result<u64, cache_runtime::Error> {
    Ok(1)
}

fn main() {}
