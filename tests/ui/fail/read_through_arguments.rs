//! Arguments that the cache cannot make from a key.

use cache_runtime::cached;

#[cached(pattern = "read-through", key = "a:<name>")]
async fn taken_by_mut(name: &mut String) -> u64 {
    name.len() as u64
}

#[cached(pattern = "read-through", key = "b:<name>")]
async fn for_ever(name: &'static str) -> u64 {
    name.len() as u64
}

#[cached(pattern = "read-through", key = "c:<name>")]
async fn unnamed(name: impl AsRef<str> + cache_runtime::KeyPart) -> u64 {
    name.as_ref().len() as u64
}

#[cached(pattern = "read-through", key = "d:<name>")]
async fn behind_dyn(name: &dyn cache_runtime::KeyPart) -> u64 {
    let _ = name;
    0
}

#[cached(pattern = "read-through", key = "e:<name>")]
async fn borrows(name: Option<&str>) -> u64 {
    name.map_or(0, str::len) as u64
}

#[cached(pattern = "read-through", key = "f:<a>:<b>")]
async fn taken_apart((a, b): (u64, u64)) -> u64 {
    a + b
}

fn main() {}
