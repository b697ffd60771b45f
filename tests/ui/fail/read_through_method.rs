//! A loader that needs `self`, which the cache does not have.

use cache_runtime::cached;

struct Shop;

impl Shop {
    #[cached(pattern = "read-through", key = "shelf:<id>")]
    async fn shelf(&self, id: u64) -> u64 {
        id
    }

    #[cached(pattern = "read-through", key = "shop:<id>")]
    async fn open(id: u64) -> u64 {
        Self::number(id)
    }

    fn number(id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Shop.shelf(1);
    let _ = Shop::open(1);
}
