//! Where an argument is cached its tags are told by it, not by the result.

use cache_runtime::{Error, cached};

#[cached(pattern = "write-through", key = "name:<id>", value = name, tags = ["org:<return>"])]
async fn save_name(id: u64, name: String) -> Result<u64, Error> {
    let _ = name;
    Ok(id)
}

fn main() {
    let _ = save_name(42, String::new());
}
