//! An argument that can be written into a key, and not read from it.

use cache_runtime::{KeyPart, KeyWriter, cached};

#[derive(Clone)]
struct Sku(u64);

impl KeyPart for Sku {
    fn write_key(&self, key: &mut KeyWriter) {
        self.0.write_key(key);
    }
}

#[cached(pattern = "read-through", key = "stock:<sku>")]
async fn stock(sku: &Sku) -> u64 {
    sku.0
}

fn main() {}
