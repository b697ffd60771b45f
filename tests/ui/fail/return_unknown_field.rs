//! A field that the result does not have.

use cache_runtime::invalidates;

#[invalidates("user:<return.id>")]
async fn create() -> Result<(u64, u64), String> {
    Ok((1, 2))
}

fn main() {}
