//! When there is a result the arguments are gone.

use cache_runtime::cached;

#[cached(key = "user:<id>", tags = ["org:<orgs[]>:<return>"])]
async fn load_user(orgs: &[u32], id: u64) -> Option<u64> {
    let _ = orgs;
    Some(id)
}

fn main() {
    let _ = load_user(&[7], 42);
}
