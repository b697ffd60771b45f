//! A writer that does not say what it invalidates.

use cache_runtime::invalidates;

#[invalidates()]
async fn rename_user(id: u64, name: &str) -> Result<(), String> {
    let _ = (id, name);
    Ok(())
}

fn main() {}
