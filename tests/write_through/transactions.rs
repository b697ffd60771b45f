//! Writers inside of a transaction store nothing: its end invalidates.

use cache_runtime::carry;
use tests::{on_each_backend, within};

use super::*;

/// A transaction that holds one write and waits before its commit.
fn transaction(cache: &Cache, kind: Kind, db: &Arc<Db>, commit: &Gate) -> JoinHandle<()> {
    let (cache, db, commit) = (cache.clone(), Arc::clone(db), commit.clone());
    tokio::spawn(carry(async move {
        let work = async {
            kind.write(&db, Change::to("New")).await.unwrap();
            commit.pass().await;
        };
        cache.in_transaction(work).await;
    }))
}

#[tokio::test]
async fn nothing_is_stored_before_the_commit_or_by_it() {
    on_each_backend(async |cache| {
        for kind in Kind::ALL {
            let (db, commit) = (Db::new(), Gate::new());
            load(&db, 7).await;
            let transaction = transaction(&cache, kind, &db, &commit);
            commit.arrived(1).await;
            let old = (kind != Kind::Strict).then(|| "Old".to_owned());
            assert_eq!(
                cached_name().await,
                old,
                "{kind:?}: others see what is committed"
            );
            commit.open();
            within(transaction).await.unwrap();
            assert_eq!(cached_name().await, None, "{kind:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn inside_the_key_is_read_from_the_database_as_soon_as_the_body_runs() {
    #[cached(pattern = "write-through", key = "user:<id>")]
    async fn write_and_read(db: &Db, id: u64) -> User {
        db.commit(&Change::to("New")).await.unwrap();
        load(db, id).await
    }
    on_each_backend(async |cache| {
        let db = Db::new();
        load(&db, 7).await;
        let read = cache.in_transaction(write_and_read(&db, 7)).await;
        assert_eq!(read.name, "New");
        assert_eq!(cached_name().await, None);
    })
    .await;
}

#[tokio::test]
async fn a_strict_write_keeps_readers_off_the_cache_until_the_commit() {
    on_each_backend(async |cache| {
        let (db, commit) = (Db::new(), Gate::new());
        let transaction = transaction(&cache, Kind::Strict, &db, &commit);
        commit.arrived(1).await;
        load(&db, 7).await;
        assert_eq!(cached_name().await, None, "loaded, and not stored");
        commit.open();
        within(transaction).await.unwrap();
        load(&db, 7).await;
        assert_eq!(cached_name().await.as_deref(), Some("New"));
    })
    .await;
}

#[tokio::test]
async fn a_key_from_the_result_is_invalidated_at_the_end_too() {
    #[cached(
        pattern = "write-through",
        key = "user:<return.id>",
        version = "<return.version>"
    )]
    async fn created(db: &Db) -> Result<User, DbError> {
        db.commit(&Change::to("New")).await
    }
    on_each_backend(async |cache| {
        let db = Db::new();
        load(&db, 7).await;
        let work = async {
            created(&db).await.unwrap();
            assert_eq!(cached_name().await.as_deref(), Some("Old"));
        };
        cache.in_transaction(work).await;
        assert_eq!(cached_name().await, None);
    })
    .await;
}

#[tokio::test]
async fn a_carried_writer_that_ends_after_its_transaction_invalidates_all_the_same() {
    on_each_backend(async |cache| {
        for kind in Kind::ALL {
            let db = Db::new();
            let change = Change::to("New");
            change.before.close();
            let mut write = None;
            let work = async {
                write = Some(kind.start(&db, &change));
                change.before.arrived(1).await;
            };
            cache.in_transaction(work).await;
            // Of a strict write the intent is still there, and nothing is stored.
            load(&db, 7).await;
            let old = (kind != Kind::Strict).then(|| "Old".to_owned());
            assert_eq!(cached_name().await, old, "{kind:?}");
            change.before.open();
            within(write.unwrap()).await.unwrap().unwrap();
            let left = cached_name().await;
            assert_ne!(left.as_deref(), Some("Old"), "{kind:?}");
            load::invalidate(7).await.unwrap();
        }
    })
    .await;
}
