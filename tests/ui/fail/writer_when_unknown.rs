//! A `when` that does not exist.

use cache_runtime::invalidates;

#[invalidates("user:<id>", when = "err")]
async fn rename_user(id: u64, name: &str) -> Result<(), String> {
    let _ = (id, name);
    Ok(())
}

fn main() {}
