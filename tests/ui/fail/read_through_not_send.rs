//! A body that has to stay on its thread.

use std::rc::Rc;

use cache_runtime::cached;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user(id: u64) -> u64 {
    let id = Rc::new(id);
    std::future::ready(()).await;
    *id
}

fn main() {}
