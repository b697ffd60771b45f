//! Whose a tag is nobody knows, so it cannot be announced.

use cache_runtime::{Error, invalidates};

#[invalidates("user:<id>", tags("org:<org>"), consistency = "strict")]
async fn rename(org: u32, id: u64) -> Result<(), Error> {
    let _ = (org, id);
    Ok(())
}

fn main() {
    let _ = rename(7, 42);
}
