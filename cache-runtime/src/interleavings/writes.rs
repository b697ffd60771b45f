//! Intents and fences of the in-memory backend.

use super::*;
use crate::backend::WriteEnd;

/// Commits between the announcement and the end of a write, and stores what it committed.
async fn write_through(row: &Row, entry: &Entry, ttl: Duration) -> WriteEnd {
    let token = Token::fresh();
    let begun = entry.store.begin_write(&entry.key, token, ttl).await;
    begun.expect("it answers");
    let version = row.commit();
    pause().await;
    let value = Some((stored(version), LONG));
    let ended = entry.store.end_write(&entry.key, token, value).await;
    row.tell(version);
    ended.expect("it answers")
}

/// Reads by the entry alone, as strict readers do.
async fn read(row: &Row, entry: &Entry) -> u64 {
    match entry.lease(LONG).await {
        (token, Lease::Granted(_)) => {
            let version = row.load().await;
            entry.fill(token, version).await;
            version
        }
        (_, Lease::Hit(stored)) => version_of(&stored),
        (_, Lease::Busy(..) | Lease::Bypass(..)) => row.version(),
    }
}

#[test]
fn overlapping_writes_never_leave_the_older_value() {
    explore(|| async {
        let (row, entry) = (Row::new(), Entry::of(&memory().0));
        let tasks = (0..3).map(|n| {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move {
                if n == 0 {
                    read(&row, &entry).await;
                } else {
                    write_through(&row, &entry, LONG).await;
                }
            })
        });
        all(tasks.collect::<Vec<_>>()).await;
        if let Some(found) = entry.get().await {
            assert_eq!(found, row.version(), "the row is newer than its entry");
        }
    });
}

#[test]
fn strict_reads_never_go_back() {
    explore(|| async {
        let (row, entry) = (Row::new(), Entry::of(&memory().0));
        let writer = {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move {
                for _ in 0..2 {
                    write_through(&row, &entry, LONG).await;
                }
            })
        };
        // What anybody has read is known to everybody.
        let seen = Arc::new(AtomicU64::new(0));
        let readers = (0..2).map(|_| {
            let (row, entry, seen) = (row.clone(), entry.clone(), seen.clone());
            spawn(async move {
                for _ in 0..2 {
                    let least = row.told().max(seen.load(Ordering::SeqCst));
                    let found = read(&row, &entry).await;
                    assert_no_older(found, least);
                    seen.fetch_max(found, Ordering::SeqCst);
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        all(readers).await;
        all([writer]).await;
    });
}

#[test]
fn a_write_whose_intent_expired_stores_nothing_and_spoils_the_others() {
    const TTL: Duration = Duration::from_secs(10);
    explore(|| async {
        let (store, clock) = memory();
        let (row, entry) = (Row::new(), Entry::of(&store));
        let writers = [TTL, LONG].map(|ttl| {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move { write_through(&row, &entry, ttl).await })
        });
        clock.advance(TTL);
        all(writers).await;
        if let Some(found) = entry.get().await {
            assert_eq!(found, row.version(), "the row is newer than its entry");
        }
    });
}

#[test]
fn an_invalidation_beside_a_write_is_not_undone_by_its_end() {
    explore(|| async {
        let (row, entry) = (Row::new(), Entry::of(&memory().0));
        let writer = {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move { write_through(&row, &entry, LONG).await })
        };
        let version = row.commit();
        entry.invalidate().await;
        row.tell(version);
        all([writer]).await;
        if let Some(found) = entry.get().await {
            assert_eq!(found, row.version(), "the row is newer than its entry");
        }
    });
}

#[test]
fn the_newest_version_stays() {
    explore(|| async {
        let (row, entry) = (Row::new(), Entry::of(&memory().0));
        let writers = (0..3).map(|_| {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move {
                let version = row.commit();
                pause().await;
                let put = entry
                    .store
                    .put_if_newer(&entry.key, version, stored(version), LONG);
                put.await.expect("it answers");
                row.tell(version);
            })
        });
        let reader = {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move {
                read(&row, &entry).await;
                let least = row.told();
                if let Some(found) = entry.get().await {
                    assert_no_older(found, least);
                }
            })
        };
        all(writers.collect::<Vec<_>>()).await;
        all([reader]).await;
        assert_eq!(entry.get().await, Some(row.version()));
    });
}
