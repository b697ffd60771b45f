//! What a transaction hides, and what it still owes when it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use cache_runtime::{Cache, cached, carry, invalidates};
use tests::{Gate, within};

/// One committed row.
#[derive(Default)]
struct Row(AtomicU64);

#[cached(key = "row:<id>")]
async fn read(row: &Row, id: u64) -> u64 {
    row.0.load(SeqCst)
}

#[invalidates("row:<id>")]
async fn write(row: &Row, id: u64, version: u64) {
    row.0.store(version, SeqCst);
}

async fn in_memory() -> Cache {
    Cache::builder().build().await.unwrap()
}

#[tokio::test]
async fn what_a_transaction_loads_is_stored_for_nobody() {
    let cache = in_memory().await;
    let row = Row::default();
    // The transaction's snapshot still has the old row; meanwhile others write, and invalidate.
    let old = cache
        .in_transaction(async {
            let seen = read(&row, 7).await;
            row.0.store(1, SeqCst);
            seen
        })
        .await;
    assert_eq!(old, 0);
    assert_eq!(cache.scope(read(&row, 7)).await, 1);
}

#[tokio::test]
async fn a_hit_is_a_hit_inside_of_a_transaction_too() {
    let cache = in_memory().await;
    let row = Row::default();
    cache.scope(read(&row, 7)).await;
    cache.in_transaction(read(&row, 7)).await;
    assert_eq!(cache.stats().function(read::SPEC).hits, 1);
}

#[tokio::test]
async fn a_carried_writer_that_ends_after_its_transaction_invalidates_all_the_same() {
    let cache = in_memory().await;
    let (row, gate) = (Arc::new(Row::default()), Gate::new());
    assert_eq!(cache.scope(read(&row, 7)).await, 0);
    let late = {
        let (row, gate) = (row.clone(), gate.clone());
        async move {
            gate.pass().await;
            write(&row, 7, 1).await;
        }
    };
    let mut spawned = None;
    cache
        .in_transaction(async { spawned = Some(tokio::spawn(carry(late))) })
        .await;
    assert_eq!(cache.scope(read(&row, 7)).await, 0);
    gate.open();
    within(spawned.unwrap()).await.unwrap();
    assert_eq!(cache.scope(read(&row, 7)).await, 1);
}

#[tokio::test]
async fn an_explicit_invalidation_takes_effect_after_the_commit_as_well() {
    let cache = in_memory().await;
    let row = Arc::new(Row::default());
    cache.scope(read(&row, 7)).await;
    cache
        .in_transaction(async {
            read::invalidate(7).await.unwrap();
            // Another task reads before the commit, and stores the old row.
            let (other, row_there) = (cache.clone(), row.clone());
            let read_by_another = async move { other.scope(read(&row_there, 7)).await };
            assert_eq!(tokio::spawn(read_by_another).await.unwrap(), 0);
            row.0.store(1, SeqCst);
        })
        .await;
    assert_eq!(cache.scope(read(&row, 7)).await, 1);
}

#[tokio::test]
async fn a_value_put_inside_of_a_transaction_is_seen_by_nobody() {
    let cache = in_memory().await;
    let row = Row::default();
    cache
        .in_transaction(async { read::put(7, 99_u64).await.unwrap() })
        .await;
    assert_eq!(cache.scope(read(&row, 7)).await, 0);
}
