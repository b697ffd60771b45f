//! Read-through loaders that claim one template and differ: no cache of the program is built. They need a program of their own.

use std::time::Duration;

use cache_runtime::{Cache, Error, cached};

fn elsewhere() -> Cache {
    Cache::current()
}

#[derive(Clone)]
struct NotProvided;

/// The first of all, so that it would be the one which is reported. On another cache, perhaps: nobody has to know what it needs, nor whether it agrees.
#[cached(
    pattern = "read-through",
    key = "account:<id>",
    ttl = 300,
    cache = elsewhere()
)]
async fn account_elsewhere(#[context] _db: &NotProvided, id: u64) -> Result<String, Error> {
    Ok(id.to_string())
}

#[cached(pattern = "read-through", key = "account:<id>", ttl = 60)]
async fn account(id: u64) -> u64 {
    id
}

#[cached(pattern = "read-through", key = "rate:<currency>")]
async fn rate(currency: &str) -> u64 {
    currency.len() as u64
}

/// Differs from the one above by the default TTL of the cache, and not by its names.
#[cached(pattern = "read-through", key = "rate:<of>", ttl = 300)]
async fn rate_again(of: &str) -> Option<u64> {
    Some(of.len() as u64)
}

#[cached(pattern = "read-through", key = "user:<id>", ttl = 300)]
async fn user(id: u64) -> String {
    id.to_string()
}

#[cached(pattern = "read-through", key = "user:<name>", ttl = 300)]
async fn user_by_name(name: &str) -> u64 {
    name.len() as u64
}

async fn refused(default_ttl: u64) -> String {
    let built = Cache::builder().default_ttl(default_ttl).build().await;
    let Err(Error::Config(error)) = built else {
        panic!("{built:?}")
    };
    error.to_string()
}

#[tokio::test]
async fn two_loaders_of_one_template_have_to_agree_on_its_values() {
    let text = refused(300).await;
    assert!(
        text.starts_with("template `user:<id>`: `user` (tests/read_through_conflicts.rs:"),
        "{text}"
    );
    assert!(
        text.contains("and `user_by_name` (tests/read_through_conflicts.rs:"),
        "{text}"
    );
    assert!(
        text.contains("values of `alloc::string::String` and `u64`"),
        "{text}"
    );
}

#[tokio::test]
async fn two_loaders_of_one_template_have_to_agree_on_its_ttl() {
    let text = refused(60).await;
    assert!(
        text.contains("`rate` (tests/read_through_conflicts.rs:"),
        "{text}"
    );
    assert!(text.contains("TTLs of 60s and 300s"), "{text}");
}

#[tokio::test]
async fn a_cache_that_runs_no_loaders_is_built() {
    let cache = Cache::builder().default_ttl(60).loaders(false);
    let cache = cache.build().await.unwrap();
    assert_eq!(cache.scope(user(1)).await, "1");
    assert_eq!(cache.scope(account(1)).await, 1);
    assert!(cache.scope(account_elsewhere(1)).await.is_err());
}

#[tokio::test]
async fn calls_go_on_without_a_cache_that_was_built() {
    assert_eq!(rate("EUR").await, 3);
    assert_eq!(rate_again("EUR").await, Some(3));
    assert_eq!(user(1).await, "1");
    assert_eq!(user_by_name("Ada").await, 3);
    assert_eq!(rate_again::SPEC.ttl(), Some(Duration::from_secs(300)));
}
