//! An item that is no function.

use cache_runtime::cached;

#[cached(key = "user:<id>")]
struct User;

fn main() {}
