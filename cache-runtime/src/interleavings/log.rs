//! The log of the in-memory backend beside what else changes its keys: it takes two locks.

use super::*;
use crate::backend::log::{Append, Appended, Done, Payload, WriteLog, partition_of};

const FUNCTION: &str = "save";

impl Entry {
    async fn append(&self, version: u64) -> u64 {
        let appended = self.store.append(Append {
            key: self.key.clone(),
            function: FUNCTION.to_owned(),
            payload: Payload::Typed(Arc::new(version)),
            value: Some((stored(version), LONG)),
            max_pending: 100,
        });
        match appended.await.expect("it answers") {
            Appended::Logged(sequence) => sequence,
            full @ Appended::Full { .. } => panic!("{full:?}"),
        }
    }

    /// Runs what is logged, and finishes it.
    async fn work(&self, row: &Row, member: Token) {
        let partition = partition_of(&self.key);
        let read = self.store.read(partition, 0, 100);
        for logged in read.await.expect("it answers") {
            let Payload::Typed(written) = &logged.payload else {
                panic!("payloads of this process are typed")
            };
            let written: &u64 = written.downcast_ref().expect("a version");
            row.version.fetch_max(*written, Ordering::SeqCst);
            let done = [Done {
                key: logged.key,
                function: logged.function,
                sequences: vec![logged.sequence],
                invalidates: false,
            }];
            let finished = self.store.finish(partition, member, &done);
            assert!(finished.await.expect("it answers"), "it owns its partition");
        }
    }
}

#[test]
fn a_pending_value_is_what_everybody_reads_until_it_is_written() {
    explore(|| async {
        let (row, entry) = (Row::new(), Entry::of(&memory().0));
        let member = Token::fresh();
        let attended = entry.store.attend(member, LONG).await;
        attended.expect("it answers");
        let writer = {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move {
                for version in 1..=2 {
                    entry.append(version).await;
                    row.tell(version);
                }
            })
        };
        let worker = {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move {
                for _ in 0..2 {
                    entry.work(&row, member).await;
                    yield_now().await;
                }
            })
        };
        let reader = {
            let (row, entry) = (row.clone(), entry.clone());
            spawn(async move {
                for _ in 0..2 {
                    let least = row.told();
                    let found = match entry.lease(LONG).await {
                        (token, Lease::Granted(_)) => {
                            let version = row.load().await;
                            entry.fill(token, version).await;
                            version
                        }
                        (_, Lease::Hit(stored)) => version_of(&stored),
                        (_, lease) => panic!("nobody else loads or writes, but {lease:?}"),
                    };
                    assert_no_older(found, least);
                }
            })
        };
        entry.invalidate().await;
        all([writer, worker, reader]).await;
        entry.work(&row, member).await;
        if let Some(found) = entry.get().await {
            assert_eq!(found, row.version(), "the row is newer than its entry");
        }
    });
}

#[test]
fn the_two_locks_are_taken_in_one_order() {
    explore(|| async {
        let (store, _) = memory();
        let keys = ["one", "other"].map(Key::from);
        let member = Token::fresh();
        store.attend(member, LONG).await.expect("it answers");
        let tasks = (0..3).map(|n| {
            let (store, keys) = (store.clone(), keys.clone());
            spawn(async move {
                let entry = Entry {
                    key: keys[n % 2].clone(),
                    store: store.clone(),
                };
                let row = Row::new();
                for _ in 0..2 {
                    match draw(5) {
                        0 => drop(entry.append(1).await),
                        1 => entry.work(&row, member).await,
                        2 => store.invalidate(&keys).await.expect("it answers"),
                        3 => store.clear().await.expect("it answers"),
                        _ => drop(store.size().await.expect("it answers")),
                    }
                }
            })
        });
        all(tasks.collect::<Vec<_>>()).await;
    });
}
