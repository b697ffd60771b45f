//! The lease table of the in-memory backend.

use super::*;

#[test]
fn a_fill_after_an_invalidation_stores_nothing() {
    explore(|| async {
        let (row, entry) = (Row::new(), Entry::of(&memory().0));
        let loaders = (0..2).map(|_| {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move {
                let least = row.told();
                match entry.lease(LONG).await {
                    (token, Lease::Granted(_)) => {
                        let version = row.load().await;
                        assert_no_older(version, least);
                        entry.fill(token, version).await;
                    }
                    (_, Lease::Hit(stored)) => assert_no_older(version_of(&stored), least),
                    (_, Lease::Busy(..)) => {}
                    (_, lease) => panic!("nobody writes by intents, but {lease:?}"),
                }
                let least = row.told();
                if let Some(version) = entry.get().await {
                    assert_no_older(version, least);
                }
            })
        });
        let loaders: Vec<_> = loaders.collect();
        for _ in 0..2 {
            let version = row.commit();
            entry.invalidate().await;
            row.tell(version);
        }
        all(loaders).await;
        if let Some(version) = entry.get().await {
            assert_no_older(version, row.version());
        }
    });
}

#[test]
fn clearing_ends_the_leases_that_it_finds() {
    explore(|| async {
        let (row, entry) = (Row::new(), Entry::of(&memory().0));
        let loader = {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move {
                if let (token, Lease::Granted(_)) = entry.lease(LONG).await {
                    let version = row.load().await;
                    entry.fill(token, version).await;
                }
            })
        };
        let version = row.commit();
        entry.store.clear().await.expect("it answers");
        row.tell(version);
        if let Some(found) = entry.get().await {
            assert_no_older(found, version);
        }
        all([loader]).await;
        if let Some(found) = entry.get().await {
            assert_no_older(found, version);
        }
    });
}

#[test]
fn one_lease_at_a_time() {
    explore(|| async {
        let (row, entry) = (Row::new(), Entry::of(&memory().0));
        let callers = (0..3).map(|_| {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move {
                loop {
                    match entry.lease(LONG).await {
                        (token, Lease::Granted(_)) => {
                            let version = row.load().await;
                            if draw(2) == 0 {
                                let released = entry.store.release(&entry.key, token);
                                released.await.expect("it answers");
                            } else {
                                assert!(entry.fill(token, version).await, "nobody ended it");
                                return;
                            }
                        }
                        (_, Lease::Hit(_)) => return,
                        (_, Lease::Busy(holder, _)) => {
                            let waited = entry.store.wait(&entry.key, holder, LONG);
                            waited.await.expect("it answers");
                        }
                        (_, lease) => panic!("nobody writes by intents, but {lease:?}"),
                    }
                }
            })
        });
        all(callers.collect::<Vec<_>>()).await;
        assert_eq!(row.most(), 1);
    });
}

/// What ends a lease, each with its name.
const ENDS: usize = 9;

async fn end(entry: &Entry, clock: &ManualClock, token: Token, how: usize) {
    let (store, key) = (&entry.store, &entry.key);
    match how {
        0 => assert!(entry.fill(token, 1).await),
        1 => store.release(key, token).await.expect("it answers"),
        2 => entry.invalidate().await,
        3 => drop(store.put(key, stored(1), LONG).await.expect("it answers")),
        4 => drop(store.begin_write(key, Token::fresh(), LONG).await),
        5 => drop(store.end_write(key, Token::fresh(), None).await),
        6 => drop(store.put_if_newer(key, 1, stored(1), LONG).await),
        7 => store.clear().await.expect("it answers"),
        ENDS.. => unreachable!("there are no more"),
        _ => clock.advance(LONG),
    }
}

#[test]
fn whoever_waits_is_woken_however_the_lease_ends() {
    explore(|| async {
        crate::sync::time::stop();
        let (store, clock) = memory();
        let entry = Entry::of(&store);
        let (token, lease) = entry.lease(LONG / 2).await;
        assert!(matches!(lease, Lease::Granted(_)));
        let waiters = (0..2).map(|_| {
            let entry = entry.clone();
            spawn(async move {
                let waited = entry.store.wait(&entry.key, token, LONG * 2);
                waited.await.expect("it answers");
            })
        });
        let waiters: Vec<_> = waiters.collect();
        end(&entry, &clock, token, draw(ENDS)).await;
        // Nobody is left to wake them: had one of them missed it, all tasks would wait.
        all(waiters).await;
    });
}

#[test]
fn a_lease_that_expires_beside_its_renewal_has_one_holder() {
    const TTL: Duration = Duration::from_secs(5);
    explore(|| async {
        let (store, clock) = memory();
        let entry = Entry::of(&store);
        let callers = (0..3).map(|_| {
            let entry = entry.clone();
            spawn(async move {
                let (token, lease) = entry.lease(TTL).await;
                if !matches!(lease, Lease::Granted(_)) {
                    return false;
                }
                let renewed = entry.store.renew(&entry.key, token, TTL);
                let stood = renewed.await.expect("it answers");
                match draw(3) {
                    0 => {
                        let released = entry.store.release(&entry.key, token);
                        released.await.expect("it answers");
                        assert!(!entry.fill(token, 1).await, "it was given up");
                        false
                    }
                    _ => {
                        let filled = entry.fill(token, 1).await;
                        assert!(stood || !filled, "it had expired, and stays so");
                        filled
                    }
                }
            })
        });
        let callers: Vec<_> = callers.collect();
        for _ in 0..2 {
            clock.advance(TTL / 2);
            yield_now().await;
        }
        let stored = all(callers).await.into_iter().filter(|filled| *filled);
        let stored = stored.count();
        assert!(stored <= 1, "{stored} loads of one key were stored");
        assert_eq!(entry.get().await.is_some(), stored == 1);
    });
}
