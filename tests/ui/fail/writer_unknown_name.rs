//! A placeholder that names no argument.

use cache_runtime::invalidates;

#[invalidates("user:<ids>")]
async fn rename_user(id: u64, name: &str) -> Result<(), String> {
    let _ = (id, name);
    Ok(())
}

fn main() {}
