//! An argument may have the name of its function.

use cache_runtime::cached;

#[cached(key = "length:<list>")]
async fn list(list: &[&str]) -> usize {
    list.len()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(list(&["a", "b"]).await, 2);
    assert_eq!(list::refresh(&["a", "b"]).await, 2);
    assert_eq!(list::key(&["a"]), "length:%(a%,%)");
}
