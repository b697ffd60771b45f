//! What a hit in memory allocates: nothing, where the value is an `Arc`.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use cache_runtime::{Error, cached};
use tests::in_memory;

#[cached(key = "shared:<id>", ttl = 60)]
async fn shared(id: u64) -> Arc<String> {
    Arc::new(id.to_string())
}

#[cached(key = "found:<name>:<id>", ttl = 60)]
async fn found(name: &str, id: u64) -> Result<Option<Arc<String>>, String> {
    Ok(Some(Arc::new(format!("{name}{id}"))))
}

#[cached(key = "number:<id>")]
async fn number(id: u64) -> u64 {
    id
}

#[cached(key = "owned:<id>")]
async fn owned(id: u64) -> String {
    format!("number {id}")
}

#[cached(
    key = "kept:<name>:<ids>",
    ttl = 60,
    stampede = "swr",
    refresh_after = 30
)]
async fn refreshed(name: &str, ids: &[u64]) -> Arc<String> {
    Arc::new(format!("{name} {ids:?}"))
}

#[cached(
    pattern = "read-through",
    key = "ahead:<name>:<ids>",
    ttl = 60,
    refresh_after = 30
)]
async fn ahead(name: &str, ids: &[u64]) -> Arc<String> {
    Arc::new(format!("{name} {ids:?}"))
}

#[cached(key = "limited:<name>", ttl = 60, timeout = 60, stale_if_error = 60)]
async fn limited(name: &str) -> Result<Arc<String>, Error> {
    Ok(Arc::new(name.to_owned()))
}

#[cached(key = "none:<id>", ttl = 60, negative_ttl = 60)]
async fn none(id: u64) -> Option<Arc<String>> {
    (id == 0).then(Arc::default)
}

/// The output of a future that does not have to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit in memory does not wait"),
    }
}

/// How many allocations a thousand hits make, once the first call and the first hit are behind.
fn allocations<T>(call: impl Fn() -> T) -> u64 {
    call();
    call();
    measure(|| {
        for _ in 0..1000 {
            std::hint::black_box(call());
        }
    })
    .count_total
}

fn of_hits() {
    assert_eq!(allocations(|| now(shared(u64::MAX))), 0, "an Arc");
    assert_eq!(
        allocations(|| now(found("a name of some length", 42))),
        0,
        "an Arc in Option and Result"
    );
    assert_eq!(allocations(|| now(number(42))), 0, "a value without a heap");
    assert_eq!(allocations(|| now(none(42))), 0, "an absence");
    // The value's own clone is its one allocation; and it shows that the counter counts.
    assert_eq!(allocations(|| now(owned(42))), 1000, "a String");
}

/// What a load in the background would need for itself is not copied for a hit that starts none.
async fn of_hits_of_functions_with_a_background() {
    let (name, ids) = ("a name of some length", [1, 2]);
    refreshed(name, &ids).await;
    let hits = allocations(|| now(refreshed(name, &ids)));
    assert_eq!(hits, 0, "fresh, though it could be refreshed");
    ahead(name, &ids).await;
    let hits = allocations(|| now(ahead(name, &ids)));
    assert_eq!(hits, 0, "noted as read");
    limited(name).await.unwrap();
    let hits = allocations(|| now(limited(name)));
    assert_eq!(hits, 0, "within a timeout");
}

#[tokio::test]
async fn a_hit_on_an_arc_allocates_nothing_in_a_scope() {
    let cache = in_memory().await;
    cache
        .scope(async {
            of_hits();
            of_hits_of_functions_with_a_background().await;
        })
        .await;
}

#[tokio::test]
async fn a_hit_on_an_arc_allocates_nothing_on_the_cache_of_the_process() {
    of_hits();
    of_hits_of_functions_with_a_background().await;
}
