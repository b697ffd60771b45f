//! Tags, which a later version brings.

use cache_runtime::invalidates;

#[invalidates("user:<id>", tags("org:<name>"))]
async fn rename_user(id: u64, name: &str) -> Result<(), String> {
    let _ = (id, name);
    Ok(())
}

fn main() {}
