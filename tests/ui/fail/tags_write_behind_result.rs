//! A write-behind writer has no result.

use cache_runtime::{Error, cached};

#[cached(pattern = "write-behind", key = "name:<id>", value = name, tags = ["org:<return.org>"])]
async fn save_name(id: u64, name: String) -> Result<(), Error> {
    let _ = (id, name);
    Ok(())
}

fn main() {
    let _ = save_name(42, String::new());
}
