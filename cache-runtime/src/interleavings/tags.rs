//! Tags of the in-memory backend: they are invalidated without the lock that a fill takes.

use super::*;
use crate::backend::{Basis, Tags, Versions};

fn tag() -> Key {
    Key::from("tag")
}

fn tagged(version: u64, versions: Versions) -> Stored {
    let basis = Basis {
        since: Some(versions.now),
        tags: Tags::from_iter([tag()]),
    };
    let mut typed = Typed::new(Arc::new(version), Life::new(LONG));
    typed.basis = Some(Arc::new(basis));
    Stored::Typed(typed)
}

/// Loads what depends on the tag, and checks what it is given instead.
async fn read(row: &Row, entry: &Entry) {
    let least = row.told();
    match entry.lease(LONG).await {
        (token, Lease::Granted(versions)) => {
            let version = row.load().await;
            let value = tagged(version, versions);
            let filled = entry.store.fill(&entry.key, token, value, LONG).await;
            filled.expect("it answers");
        }
        (_, Lease::Hit(stored)) => assert_no_older(version_of(&stored), least),
        (_, lease) => assert!(matches!(lease, Lease::Busy(..))),
    }
    let least = row.told();
    if let Some(found) = entry.get().await {
        assert_no_older(found, least);
    }
}

async fn readers_beside<F>(invalidate: impl Fn(Arc<Memory>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (row, entry) = (Row::new(), Entry::of(&memory().0));
    let readers = (0..2).map(|_| {
        let (row, entry) = (row.clone(), entry.clone());
        spawn(async move {
            for _ in 0..2 {
                read(&row, &entry).await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let writers = (0..2).map(|_| {
        let (row, done) = (row.clone(), invalidate(Arc::clone(&entry.store)));
        spawn(async move {
            let version = row.commit();
            done.await;
            row.tell(version);
        })
    });
    let writers: Vec<_> = writers.collect();
    all(readers).await;
    all(writers).await;
    if let Some(found) = entry.get().await {
        assert_no_older(found, row.version());
    }
}

#[test]
fn no_value_outlives_an_invalidation_of_its_tag() {
    explore(|| {
        readers_beside(|store| async move {
            store.invalidate_tags(&[tag()]).await.expect("it answers");
        })
    });
}

#[test]
fn no_value_outlives_a_bump_of_the_namespace() {
    explore(|| {
        readers_beside(|store| async move {
            store.bump_namespace().await.expect("it answers");
        })
    });
}
