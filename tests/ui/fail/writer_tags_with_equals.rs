//! A writer names its tags in parentheses.

use cache_runtime::invalidates;

#[invalidates(tags = ["org:<org>"])]
async fn rename(org: u32) {
    let _ = org;
}

fn main() {
    let _ = rename(7);
}
