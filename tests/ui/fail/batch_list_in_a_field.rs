//! A batch loader whose list is a part of an argument.

use cache_runtime::cached;

struct Order {
    ids: Vec<u64>,
}

#[cached(key = "users:<order.ids[]>")]
async fn load_users(order: &Order) -> Vec<Option<String>> {
    order.ids.iter().map(|id| Some(id.to_string())).collect()
}

fn main() {}
