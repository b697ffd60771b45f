//! What a hit in memory allocates: nothing, where the value is an `Arc`.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use cache_runtime::cached;
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
    // The value's own clone is its one allocation; and it shows that the counter counts.
    assert_eq!(allocations(|| now(owned(42))), 1000, "a String");
}

#[tokio::test]
async fn a_hit_on_an_arc_allocates_nothing_in_a_scope() {
    let cache = in_memory().await;
    cache.scope(async { of_hits() }).await;
}

#[tokio::test]
async fn a_hit_on_an_arc_allocates_nothing_on_the_cache_of_the_process() {
    of_hits();
}
