//! The breaker and the invalidations that could not be delivered.

use super::remote::{Network, Remote};
use super::*;
use crate::backend::Format;
use crate::{cached, invalidates, race};

#[cached(key = "row", ttl = 600)]
async fn version(row: &Row) -> u64 {
    row.load().await
}

#[invalidates("row")]
async fn write(row: &Row) -> u64 {
    row.commit()
}

async fn process(format: Format) -> (Cache, Arc<Network>) {
    let (store, clock) = memory();
    let network = Arc::new(Network::default());
    let remote = Remote::new(&store, &network, format);
    (cache_on(remote, &clock).await, network)
}

/// Waits until the breaker has closed. It only looks: recovery must not need a call.
async fn closed(cache: &Cache) {
    while cache.stats().backend.breaker_open {
        yield_now().await;
    }
}

/// Readers and writers of one process, while its network is cut and healed.
async fn cut_and_heal(format: Format) {
    let row = Row::new();
    let (cache, network) = process(format).await;
    cache.scope(version(&row)).await;
    let mut tasks = Vec::new();
    for _ in 0..2 {
        tasks.push(task(&cache, &row, |cache, row| async move {
            for _ in 0..3 {
                let least = row.told();
                assert_no_older(cache.scope(version(&row)).await, least);
            }
        }));
        tasks.push(task(&cache, &row, |cache, row| async move {
            let version = cache.scope(write(&row)).await;
            row.tell(version);
        }));
    }
    network.cut();
    yield_now().await;
    network.heal();
    all(tasks).await;
    closed(&cache).await;
    assert_eq!(cache.stats().backend.undelivered_invalidations, 0);
    assert_eq!(cache.scope(version(&row)).await, row.version());
}

#[test]
fn no_value_outlives_its_undelivered_invalidation() {
    explore(|| async { cut_and_heal(Format::Typed).await });
}

#[test]
fn nor_does_one_over_a_network() {
    explore(|| async { cut_and_heal(Format::Encoded).await });
}

#[test]
fn while_it_is_open_a_read_after_an_invalidation_joins_no_earlier_load() {
    explore(|| async {
        let row = Row::new();
        let (cache, network) = process(Format::Typed).await;
        network.cut();
        // The breaker opens.
        cache.scope(version(&row)).await;
        let mut tasks = Vec::new();
        for _ in 0..2 {
            tasks.push(task(&cache, &row, |cache, row| async move {
                let least = row.told();
                assert_no_older(cache.scope(version(&row)).await, least);
            }));
        }
        tasks.push(task(&cache, &row, |cache, row| async move {
            let written = cache.scope(write(&row)).await;
            row.tell(written);
            assert_no_older(cache.scope(version(&row)).await, written);
        }));
        all(tasks).await;
    });
}

#[test]
fn the_breaker_closes_by_itself_however_often_it_opens() {
    explore(|| async {
        let (cache, network) = process(Format::Encoded).await;
        let callers = (0..2).map(|n| {
            let cache = cache.clone();
            spawn(async move {
                // Done or kept: the caller is told which.
                let _ = cache.invalidate(Key::from(["one", "other"][n])).await;
            })
        });
        let callers: Vec<_> = callers.collect();
        for _ in 0..2 {
            network.cut();
            yield_now().await;
            network.heal();
            yield_now().await;
        }
        all(callers).await;
        closed(&cache).await;
        assert_eq!(cache.stats().backend.undelivered_invalidations, 0);
    });
}

#[test]
fn an_opening_at_the_last_moment_of_a_recovery_is_recovered_too() {
    explore(|| async {
        let (cache, network) = process(Format::Typed).await;
        network.cut();
        let callers = (0..2).map(|n| {
            let cache = cache.clone();
            spawn(async move {
                let _ = cache.invalidate(Key::from(["one", "other"][n])).await;
            })
        });
        let callers: Vec<_> = callers.collect();
        pause().await;
        network.heal();
        all(callers).await;
        closed(&cache).await;
    });
}

#[test]
fn an_invalidation_that_was_begun_is_done_though_its_caller_is_dropped() {
    explore(|| async {
        let row = Row::new();
        let (cache, _) = process(Format::Typed).await;
        cache.scope(version(&row)).await;
        let written = row.commit();
        let dropped = async {
            for _ in 0..draw(4) {
                pause().await;
            }
        };
        let reader = task(&cache, &row, |cache, row| async move {
            cache.scope(version(&row)).await;
        });
        race::within(Box::pin(cache.invalidate("row")), dropped).await;
        all([reader]).await;
        // Not at once, but without anybody's help.
        while cache.scope(version(&row)).await < written {
            yield_now().await;
        }
    });
}

#[test]
fn a_writer_that_is_dropped_owes_its_invalidation_still() {
    explore(|| async {
        let row = Row::new();
        let (cache, network) = process(Format::Typed).await;
        cache.scope(version(&row)).await;
        let writer = task(&cache, &row, |cache, row| async move {
            cache.scope(write(&row)).await
        });
        network.cut();
        writer.abort();
        network.heal();
        let _ = writer.await;
        // Not at once, but without anybody's help.
        while cache.scope(version(&row)).await != row.version() {
            yield_now().await;
        }
        closed(&cache).await;
    });
}

#[test]
fn a_backlog_that_is_too_long_becomes_the_whole_namespace() {
    explore(|| async {
        let (store, clock) = memory();
        let network = Arc::new(Network::default());
        let remote = Remote::new(&store, &network, Format::Typed);
        let built = Cache::builder()
            .backend(remote)
            .clock(&clock)
            .max_kept_invalidations(1)
            .build();
        let cache = built.await.expect("sound settings");
        let row = Row::new();
        cache.scope(version(&row)).await;
        network.cut();
        let writers = (0..2).map(|n| {
            task(&cache, &row, move |cache, row| async move {
                let other = Key::from(format!("other:{n}"));
                let version = cache.scope(write(&row)).await;
                let _ = cache.invalidate(other).await;
                row.tell(version);
            })
        });
        let writers: Vec<_> = writers.collect();
        let reader = task(&cache, &row, |cache, row| async move {
            for _ in 0..3 {
                let least = row.told();
                assert_no_older(cache.scope(version(&row)).await, least);
            }
        });
        network.heal();
        all(writers).await;
        all([reader]).await;
        closed(&cache).await;
        assert_eq!(cache.scope(version(&row)).await, row.version());
    });
}
