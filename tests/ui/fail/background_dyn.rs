//! A borrowed trait object and a borrow of an unnamed type.

use cache_runtime::{Error, cached};

use std::fmt::Display;

#[cached(key = "user:<id>", timeout = 1)]
async fn load_user(
    id: u64,
    a: &dyn Display,
    b: &(dyn Display + Sync),
    c: &impl Display,
) -> Result<String, Error> {
    Ok(format!("{id} {a} {b} {c}"))
}

fn main() {}
