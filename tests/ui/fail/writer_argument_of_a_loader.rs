//! An argument that only loaders take.

use cache_runtime::invalidates;

#[invalidates("user:<id>", ttl = 5)]
async fn rename_user(id: u64, name: &str) -> Result<(), String> {
    let _ = (id, name);
    Ok(())
}

fn main() {}
