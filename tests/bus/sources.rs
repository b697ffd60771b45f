//! Whatever changes what readers of a region see is told to the others.

use std::sync::atomic::Ordering::SeqCst;

use cache_runtime::bus::MemoryBus;
use cache_runtime::{Cache, Error, cached, invalidates};
use tests::{DEADLINE, FaultyBus, eventually, in_memory};

use crate::world::*;

#[invalidates("item:<id>")]
async fn change(database: &Database, id: u64) {
    let _ = id;
    database.change();
}

#[invalidates("item:<id>", consistency = "strict")]
async fn change_strictly(database: &Database, id: u64) -> Result<(), Error> {
    let _ = id;
    database.change();
    Ok(())
}

#[cached(pattern = "write-through", key = "item:<id>", ttl = 3600)]
async fn write_through(database: &Database, id: u64) -> Result<u64, Error> {
    let _ = id;
    database.change();
    Ok(database.now())
}

#[cached(
    pattern = "write-through",
    key = "item:<id>",
    ttl = 3600,
    consistency = "eventual"
)]
async fn write_through_eventually(database: &Database, id: u64) -> Result<u64, Error> {
    let _ = id;
    database.change();
    Ok(database.now())
}

#[cached(
    pattern = "write-through",
    key = "item:<id>",
    ttl = 3600,
    version = "<return>"
)]
async fn write_through_versioned(database: &Database, id: u64) -> Result<u64, Error> {
    let _ = id;
    database.change();
    Ok(database.now())
}

#[cached(pattern = "write-behind", key = "item:<id>", value = none, flush = "10s")]
async fn write_behind(#[context] database: &Database, id: u64, by: u64) -> Result<(), Error> {
    let _ = (id, by);
    database.change();
    Ok(())
}

/// Runs the change here, and expects the new number there.
async fn is_told(change: impl AsyncFn(&Cache, &Database)) {
    on_each_bus(async |here, there| {
        let database = Database::default();
        fill(&there, &database, 1).await;
        here.scope(change(&here, &database)).await;
        gone(&there, 1).await;
        assert_eq!(fill(&there, &database, 1).await, 1);
        here.flush_events(DEADLINE).await.unwrap();
        until(&there, |bus| bus.backlog == 0 && bus.applied > 0).await;
        assert_eq!(fill(&there, &database, 1).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_writer_is_told() {
    is_told(async |_, database| change(database, 1).await).await;
}

#[tokio::test]
async fn a_strict_writer_is_told() {
    is_told(async |_, database| change_strictly(database, 1).await.unwrap()).await;
}

#[tokio::test]
async fn a_write_through_is_told() {
    is_told(async |_, database| {
        write_through(database, 1).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_eventual_write_through_is_told() {
    is_told(async |_, database| {
        write_through_eventually(database, 1).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_write_through_with_versions_is_told() {
    is_told(async |_, database| {
        write_through_versioned(database, 1).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_value_that_is_put_is_told() {
    is_told(async |_, database| {
        database.change();
        item::put(1, database.now()).await.unwrap();
    })
    .await;
}

#[cached(key = "tagged:<id>", ttl = 3600, tags = ["group:<group>"])]
async fn tagged(database: &Database, id: u64, group: u64) -> u64 {
    let _ = (id, group);
    database.now()
}

#[invalidates(tags("group:<group>"))]
async fn change_group(database: &Database, group: u64) {
    let _ = group;
    database.change();
}

#[tokio::test]
async fn tags_are_told() {
    on_each_bus(async |here, there| {
        let database = Database::default();
        for (id, group) in [(1, 1), (2, 1), (3, 2)] {
            there.scope(tagged(&database, id, group)).await;
        }
        here.scope(change_group(&database, 1)).await;
        let there_has = async |id| there.scope(tagged::peek(id)).await.is_some();
        eventually(DEADLINE, async || {
            !there_has(1).await && !there_has(2).await
        })
        .await;
        assert!(there_has(3).await, "another tag");
        here.invalidate_tag("group:2").await.unwrap();
        eventually(DEADLINE, async || !there_has(3).await).await;
        // Each is one event, whatever the number of entries.
        assert_eq!(bus_of(&here).published, 2);
    })
    .await;
}

#[tokio::test]
async fn a_bumped_namespace_is_told() {
    is_told(async |cache, database| {
        database.change();
        cache.bump_namespace().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn to_clear_is_told() {
    is_told(async |cache, database| {
        database.change();
        cache.clear().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_write_behind_is_told_when_it_is_written() {
    let (bus, database) = (MemoryBus::new(), Database::default());
    let builder = || Cache::builder().provide(database.clone());
    let here = build(builder(), bus.clone(), "here").await;
    let there = build(builder(), bus, "there").await;
    fill(&there, &database, 1).await;
    here.scope(write_behind(1, 1)).await.unwrap();
    assert_eq!((bus_of(&here).outbox, bus_of(&here).published), (0, 0));
    assert!(has(&there, 1).await, "the row is what it was");
    // The shutdown waits for the body, and for what it changed to be on the bus.
    let report = here.shutdown(DEADLINE).await;
    assert_eq!((report.written, report.unpublished), (1, 0));
    assert_eq!(bus_of(&here).outbox, 0);
    gone(&there, 1).await;
    assert_eq!(fill(&there, &database, 1).await, 1);
}

#[tokio::test]
async fn a_transaction_is_told_at_its_end() {
    let (bus, database) = (MemoryBus::new(), Database::default());
    let here = memory_region(bus.clone(), "here").await;
    let there = memory_region(bus, "there").await;
    fill(&there, &database, 1).await;
    let before = |cache: &Cache| bus_of(cache).outbox + bus_of(cache).published;
    here.in_transaction(async {
        change(&database, 1).await;
        change(&database, 2).await;
        assert_eq!(before(&here), 0, "the commit is yet to come");
    })
    .await;
    gone(&there, 1).await;
    assert_eq!(bus_of(&here).published, 1, "both in one event");
}

#[tokio::test]
async fn loads_and_refreshes_are_nobodys_news() {
    let (bus, database) = (MemoryBus::new(), Database::default());
    let here = memory_region(bus, "here").await;
    fill(&here, &database, 1).await;
    here.scope(item::refresh(&database, 1)).await;
    assert_eq!((bus_of(&here).outbox, bus_of(&here).published), (0, 0));
}

#[tokio::test]
async fn too_many_keys_are_everything() {
    let (bus, faults) = FaultyBus::new(MemoryBus::new());
    faults.refuses.store(true, SeqCst);
    let options = quick().max_waiting(10);
    let builder = Cache::builder().bus(bus.clone(), "here").unwrap();
    let here = builder.bus_options(options).build().await.unwrap();
    let there = memory_region(bus, "there").await;
    let database = Database::default();
    fill(&there, &database, 1000).await;
    // The first may be in the hands of the sender.
    for id in 0..12 {
        here.invalidate(item::key(id)).await.unwrap();
    }
    let bus = bus_of(&here);
    assert!(bus.overflows == 1 && bus.outbox <= 2, "{bus:?}");
    faults.refuses.store(false, SeqCst);
    gone(&there, 1000).await;
    until(&there, |bus| bus.flushes == 2).await;
}

#[tokio::test]
async fn a_cache_without_a_bus_does_the_same_without_one() {
    let (cache, database) = (in_memory().await, Database::default());
    fill(&cache, &database, 1).await;
    cache.scope(change(&database, 1)).await;
    assert_eq!(fill(&cache, &database, 1).await, 1);
}
