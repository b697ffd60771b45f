//! A function with a timeout that can return no error.

use cache_runtime::cached;

#[cached(key = "user:<id>", timeout = "1s", stale_if_error = "1h")]
async fn load_user(id: u64) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
