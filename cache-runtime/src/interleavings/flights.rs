//! Calls of annotated functions: who loads, who joins, and who is woken.

use super::remote::{Network, Remote};
use super::*;
use crate::backend::Format;
use crate::stampede::flight::{Boarding, Flights};
use crate::{Error, cached, invalidates, race};

#[cached(key = "row", ttl = 600)]
async fn version(row: &Row) -> u64 {
    row.load().await
}

#[cached(key = "row", ttl = 600, consistency = "eventual")]
async fn version_eventually(row: &Row) -> u64 {
    row.load().await
}

#[cached(key = "row", ttl = 600, consistency = "strict")]
async fn version_strictly(row: &Row) -> u64 {
    row.load().await
}

#[invalidates("row")]
async fn write(row: &Row) -> u64 {
    row.commit()
}

#[invalidates("row", consistency = "strict")]
async fn write_strictly(row: &Row) -> Result<u64, Error> {
    let version = row.commit();
    pause().await;
    Ok(version)
}

/// Processes on one store over a network that never fails, and nothing of theirs rests on a timer.
async fn processes(count: usize) -> (Vec<Cache>, Arc<Network>) {
    crate::sync::time::stop();
    let (store, clock) = memory();
    let network = Arc::new(Network::default());
    let mut caches = Vec::new();
    for _ in 0..count {
        let remote = Remote::new(&store, &network, Format::Encoded);
        caches.push(cache_on(remote, &clock).await);
    }
    (caches, network)
}

/// A process of its own, with its store.
async fn process() -> (Cache, ManualClock) {
    crate::sync::time::stop();
    let (store, clock) = memory();
    (cache_on(store, &clock).await, clock)
}

fn calls(cache: &Cache, row: &Arc<Row>, count: usize) -> Vec<JoinHandle<u64>> {
    let call = |_| {
        task(cache, row, |cache, row| async move {
            cache.scope(version(&row)).await
        })
    };
    (0..count).map(call).collect()
}

#[test]
fn many_callers_of_a_miss_are_one_load() {
    explore(|| async {
        let row = Row::new();
        let (cache, _) = process().await;
        assert_eq!(all(calls(&cache, &row, 4)).await, [0; 4]);
        assert_eq!(row.loads(), 1);
    });
}

#[test]
fn many_callers_in_two_processes_are_one_load() {
    explore(|| async {
        let row = Row::new();
        let (caches, network) = processes(2).await;
        let callers = caches.iter().flat_map(|cache| calls(cache, &row, 3));
        all(callers.collect::<Vec<_>>()).await;
        assert_eq!(row.loads(), 1);
        // Of three callers of a process that come together one asks for all, and at worst again for those who came during its question; a
        // second time each when the holder's flight has landed.
        assert!(network.questions() <= 8, "{}", network.questions());
    });
}

/// What is not stored is loaded by each who asks for it alone, but by no two at once.
#[cached(key = "row", ttl = 600, consistency = "eventual")]
async fn nothing(row: &Row) -> Option<u64> {
    row.load().await;
    None
}

#[test]
fn what_is_not_stored_is_one_load_at_a_time_by_key_alone() {
    explore(|| async {
        let row = Row::new();
        let (cache, _) = process().await;
        let callers = (0..4).map(|_| {
            task(&cache, &row, |cache, row| async move {
                assert_eq!(cache.scope(nothing(&row)).await, None);
            })
        });
        all(callers.collect::<Vec<_>>()).await;
        assert_eq!(row.most(), 1);
    });
}

#[test]
fn whoever_joins_a_flight_gets_what_it_lands_with() {
    explore(|| async {
        let flights = Flights::<(), Option<u64>>::new();
        let flying = Arc::new(AtomicUsize::new(0));
        let callers = (0..4).map(|number| {
            let (flights, flying) = (flights.clone(), flying.clone());
            spawn(async move {
                match flights.board(&Key::from("row"), ()) {
                    Boarding::Join(flight) => assert!(flight.landing().await.is_some()),
                    Boarding::Lead(seat) => {
                        let others = flying.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(others, 0, "one flight of a name at a time");
                        pause().await;
                        flying.fetch_sub(1, Ordering::SeqCst);
                        seat.land_for_others(|| Some(number));
                    }
                }
            })
        });
        all(callers.collect::<Vec<_>>()).await;
    });
}

#[test]
fn many_callers_are_one_load_also_by_key_alone() {
    explore(|| async {
        let row = Row::new();
        let (cache, _) = process().await;
        let callers = (0..3).map(|_| {
            task(&cache, &row, |cache, row| async move {
                cache.scope(version_eventually(&row)).await
            })
        });
        all(callers.collect::<Vec<_>>()).await;
        assert_eq!(row.loads(), 1);
    });
}

/// Two readers and a writer for each of the processes; what a write's invalidation has told holds for all of them.
async fn read_and_write(caches: &[Cache], row: &Arc<Row>) {
    let mut tasks = Vec::new();
    for cache in caches {
        for _ in 0..2 {
            tasks.push(task(cache, row, |cache, row| async move {
                for _ in 0..2 {
                    let least = row.told();
                    assert_no_older(cache.scope(version(&row)).await, least);
                }
            }));
        }
        tasks.push(task(cache, row, |cache, row| async move {
            let version = cache.scope(write(&row)).await;
            row.tell(version);
        }));
    }
    all(tasks).await;
    for cache in caches {
        assert_eq!(cache.scope(version(row)).await, row.version());
    }
}

#[test]
fn a_read_after_an_invalidation_never_joins_an_earlier_load() {
    explore(|| async {
        let (cache, _) = process().await;
        read_and_write(&[cache], &Row::new()).await;
    });
}

#[test]
fn nor_does_one_after_an_invalidation_by_another_process() {
    explore(|| async {
        let (caches, _) = processes(2).await;
        read_and_write(&caches, &Row::new()).await;
    });
}

#[test]
fn nor_does_one_take_the_answer_to_an_earlier_question() {
    explore(|| async {
        let row = Row::new();
        let (caches, _) = processes(1).await;
        let mut tasks = calls(&caches[0], &row, 2);
        tasks.push(task(&caches[0], &row, |cache, row| async move {
            let written = cache.scope(write(&row)).await;
            let found = cache.scope(version(&row)).await;
            assert_no_older(found, written);
            found
        }));
        all(tasks).await;
    });
}

#[test]
fn nor_do_leases_that_expire_change_that() {
    explore(|| async {
        let (cache, clock) = process().await;
        let time = spawn(async move {
            for _ in 0..4 {
                clock.advance(Duration::from_secs(3));
                yield_now().await;
            }
        });
        read_and_write(&[cache], &Row::new()).await;
        all([time]).await;
    });
}

/// So many strict readers in each of the processes, beside one writer; what anybody has read is known to everybody.
async fn read_strictly(readers: &[usize]) {
    let row = Row::new();
    let (caches, _) = processes(readers.len()).await;
    let mut tasks = Vec::new();
    for (cache, count) in caches.iter().zip(readers) {
        for _ in 0..*count {
            tasks.push(task(cache, &row, |cache, row| async move {
                let least = row.told();
                let found = cache.scope(version_strictly(&row)).await;
                assert_no_older(found, least);
                row.tell(found);
            }));
        }
    }
    tasks.push(task(&caches[0], &row, |cache, row| async move {
        let written = cache.scope(write_strictly(&row)).await;
        row.tell(written.expect("the store is there"));
    }));
    all(tasks).await;
}

#[test]
fn strict_readers_never_go_back() {
    explore(|| async { read_strictly(&[3]).await });
}

#[test]
fn nor_do_those_of_two_processes() {
    explore(|| async { read_strictly(&[2, 1]).await });
}

/// A row, and how far a story about it has come.
#[derive(Default)]
struct Story {
    row: Row,
    stage: AtomicUsize,
}

impl Story {
    fn advance(&self, stage: usize) {
        self.stage.store(stage, Ordering::SeqCst);
    }

    async fn reached(&self, stage: usize) {
        while self.stage.load(Ordering::SeqCst) < stage {
            yield_now().await;
        }
    }
}

#[cached(key = "row", ttl = 600, consistency = "strict")]
async fn version_in_stages(story: &Story) -> u64 {
    let version = story.row.load().await;
    if version == 0 {
        story.advance(2);
        story.reached(4).await;
    }
    version
}

#[invalidates("row", consistency = "strict")]
async fn write_in_stages(story: &Story) -> Result<(), Error> {
    story.advance(1);
    story.reached(2).await;
    story.row.commit();
    story.advance(3);
    story.reached(5).await;
    Ok(())
}

/// Between a commit and its end all loads are of one generation of writes. One has read the old row and is not over; another process has returned
/// the new one; who comes then is not to have the old one.
#[test]
fn beside_a_write_strict_readers_join_no_load_that_began_before_them() {
    explore(|| async {
        crate::sync::time::stop();
        let (store, clock) = memory();
        let (one, other) = (
            cache_on(store.clone(), &clock).await,
            cache_on(store, &clock).await,
        );
        let story = Arc::new(Story::default());
        let reader = |cache: &Cache, begins: usize, ends: Option<usize>| {
            let (cache, story) = (cache.clone(), story.clone());
            spawn(async move {
                story.reached(begins).await;
                let found = cache.scope(version_in_stages(&story)).await;
                if let Some(ends) = ends {
                    assert_eq!(found, 1, "a new row was returned before");
                    story.advance(ends);
                }
            })
        };
        let readers = [
            reader(&one, 1, None),
            reader(&other, 3, Some(4)),
            reader(&one, 4, Some(5)),
        ];
        let written = one.scope(write_in_stages(&story)).await;
        written.expect("the store is there");
        all(readers).await;
    });
}

#[test]
fn a_leader_that_is_dropped_leaves_nobody_waiting() {
    explore(|| async {
        let row = Row::new();
        let (cache, _) = process().await;
        let mut callers: Vec<_> = calls(&cache, &row, 3);
        let dropped = callers.remove(draw(3));
        dropped.abort();
        all(callers).await;
        drop(dropped);
        assert!(row.loads() <= 2, "{} loads", row.loads());
    });
}

#[test]
fn nor_does_one_of_another_process() {
    explore(|| async {
        let row = Row::new();
        let (caches, _) = processes(2).await;
        let callers = caches.iter().flat_map(|cache| calls(cache, &row, 2));
        let mut callers: Vec<_> = callers.collect();
        let dropped = callers.remove(draw(4));
        dropped.abort();
        all(callers).await;
        drop(dropped);
    });
}

#[cached(key = "row", ttl = 600)]
async fn version_or_panic(row: &Row) -> u64 {
    if row.load().await == 0 && row.loads() == 1 {
        panic_quietly();
    }
    row.version()
}

#[test]
fn a_leader_that_panics_leaves_nobody_waiting() {
    explore(|| async {
        let row = Row::new();
        let (cache, _) = process().await;
        let callers = (0..3).map(|_| {
            task(&cache, &row, |cache, row| async move {
                race::caught(cache.scope(version_or_panic(&row)))
                    .await
                    .is_err()
            })
        });
        let ended = all(callers.collect::<Vec<_>>()).await;
        let panicked = ended.iter().filter(|panicked| **panicked).count();
        assert_eq!((panicked, row.loads()), (1, 2));
        assert_eq!(row.most(), 1);
    });
}

/// An error that waiters cannot have.
#[derive(Debug)]
struct Own;

#[cached(key = "row", ttl = 600)]
async fn version_after_an_error(row: &Row) -> Result<u64, Own> {
    let version = row.load().await;
    if row.loads() == 1 {
        Err(Own)
    } else {
        Ok(version)
    }
}

#[test]
fn after_an_error_that_cannot_be_shared_one_of_the_waiters_leads() {
    explore(|| async {
        let row = Row::new();
        let (cache, _) = process().await;
        let callers = (0..3).map(|_| {
            task(&cache, &row, |cache, row| async move {
                cache.scope(version_after_an_error(&row)).await.is_err()
            })
        });
        let ended = all(callers.collect::<Vec<_>>()).await;
        let failed = ended.iter().filter(|failed| **failed).count();
        assert_eq!((failed, row.loads()), (1, 2));
        assert_eq!(row.most(), 1);
    });
}

#[cached(key = "row", ttl = 600)]
async fn version_or_error(row: &Row) -> Result<u64, &'static str> {
    row.load().await;
    Err("no")
}

#[test]
fn an_error_that_can_be_shared_is() {
    explore(|| async {
        let row = Row::new();
        let (cache, _) = process().await;
        let callers = (0..3).map(|_| {
            task(&cache, &row, |cache, row| async move {
                cache.scope(version_or_error(&row)).await
            })
        });
        assert_eq!(all(callers.collect::<Vec<_>>()).await, [Err("no"); 3]);
        assert_eq!(row.most(), 1);
    });
}
