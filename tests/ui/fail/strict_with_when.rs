//! `when` next to strict.

use cache_runtime::invalidates;

#[invalidates("user:<id>", consistency = "strict", when = "ok")]
async fn rename_user(id: u64, name: &str) -> Result<(), String> {
    let _ = (id, name);
    Ok(())
}

fn main() {}
