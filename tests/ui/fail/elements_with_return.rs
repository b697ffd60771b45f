//! Elements of an argument and the result in one template.

use cache_runtime::invalidates;

#[invalidates("user:<ids[]>:<return>")]
async fn merge(ids: &[u64]) -> u64 {
    ids[0]
}

fn main() {}
