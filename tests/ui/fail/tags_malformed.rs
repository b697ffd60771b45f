//! The templates of tags follow the rules of those of keys.

use cache_runtime::cached;

#[cached(key = "user:<id>", tags = ["org:<org", "a:{org}", "<org><id>"])]
async fn load_user(org: u32, id: u64) -> Option<String> {
    Some(format!("{org} {id}"))
}

fn main() {
    let _ = load_user(7, 42);
}
