//! Write-through writers: what is stored, how writes are ordered, and the functions that can be one.
#![deny(warnings)]
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Cache, Error, Pattern, cached, invalidates};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    id: u64,
    version: i64,
}

#[derive(Default)]
pub struct Db(u64);

#[derive(Debug)]
pub struct DbError;
impl From<Error> for DbError {
    fn from(_: Error) -> Self {
        Self
    }
}

type Saved<T> = Result<T, DbError>;

/// Its result is stored.
#[cached(pattern = "write-through", key = "session:<session.id>", ttl = 3600)]
pub async fn save(db: &Db, session: Session) -> Saved<Session> {
    let _ = db;
    Ok(session)
}

fn until(session: &Session) -> Option<Duration> {
    (session.version > 0).then_some(Duration::from_secs(1))
}

#[cached(
    pattern = "write-through",
    key = "session:<session.id>",
    value = session,
    ttl_with = until,
    jitter = "10%",
    stale_if_error = 5,
    consistency = "eventual",
    codec = "bincode",
    schema = 2
)]
#[invalidates("sessions")]
async fn replace(tx: &mut Db, session: &Session) -> Saved<()> {
    tx.0 += session.id;
    Ok(())
}

#[cached(pattern = "write-through", key = "name:<id>", value = name, consistency = "strict")]
async fn rename(id: u64, name: &str) -> Saved<u64> {
    Ok(id + name.len() as u64)
}

#[cached(pattern = "write-through", key = "blob:<id>", value = bytes)]
async fn keep(id: u64, bytes: &[u8]) {
    let _ = (id, bytes);
}

#[cached(pattern = "write-through", key = "shared:<id>", value = session)]
async fn share(id: u64, session: &Arc<Session>) -> u64 {
    id + session.id
}

#[cached(pattern = "write-through", key = "maybe:<id>", value = session)]
async fn maybe(id: u64, mut session: Option<Session>) -> Saved<()> {
    session.take();
    let _ = id;
    Ok(())
}

#[cached(pattern = "write-through", key = "session:<return.id>", version = "<return.version>")]
async fn create(db: &mut Db) -> Result<Option<Session>, DbError> {
    db.0 += 1;
    Ok(Some(Session {
        id: db.0,
        version: 1,
    }))
}

#[cached(
    pattern = "write-through",
    key = "session:<tenant>:<return>",
    version = "<session.version>",
    value = session
)]
async fn import(tenant: String, session: Session) -> Saved<u64> {
    drop(tenant);
    Ok(session.id)
}

#[cached(pattern = "write-through", key = "session:<id>", version = "<return.version>")]
async fn touch(id: u64) -> Saved<Arc<Session>> {
    Ok(Arc::new(Session { id, version: 2 }))
}

#[cached(pattern = "write-through", key = "any:<id>", value = value)]
async fn any<T>(id: u64, value: T) -> Saved<()>
where
    T: Clone + Serialize + for<'de> Deserialize<'de> + Send + Sync + 'static,
{
    drop((id, value));
    Ok(())
}

#[cached(pattern = "write-through", key = "sized:<N>:<id>")]
async fn sized<'a, const N: usize>(id: &'a str, data: [u8; N]) -> Vec<u8> {
    let _ = id;
    data.to_vec()
}

struct Repo {
    cache: Cache,
    rows: u64,
}

trait Store {
    fn save(&mut self, session: Session) -> impl Future<Output = Saved<Session>> + Send;
}

impl Store for Repo {
    #[cached(pattern = "write-through", key = "session:<session.id>", cache = self.cache)]
    async fn save(&mut self, session: Session) -> Saved<Session> {
        self.rows += 1;
        Ok(session)
    }
}

impl Repo {
    #[cached(pattern = "write-through", key = "of:<self.rows>", value = name, cache = self.cache)]
    async fn name(&self, name: &str) -> Saved<()> {
        let _ = (self.rows, name);
        Ok(())
    }

    #[cached(pattern = "write-through", key = "plain:<id>", companion = false)]
    async fn plain(id: u64) -> u64 {
        id
    }
}

#[tokio::main]
async fn main() {
    let session = Session { id: 7, version: 1 };
    let (db, mut tx) = (Db::default(), Db::default());
    assert_eq!(save(&db, session.clone()).await.unwrap(), session);
    assert_eq!(save::key(session.clone()).as_str(), "session:7");
    assert_eq!(save::SPEC.pattern(), Pattern::WriteThrough);
    save::put(session.clone(), session.clone()).await.unwrap();
    assert_eq!(save::peek(session.clone()).await.unwrap().unwrap(), session);
    save::invalidate(session.clone()).await.unwrap();

    replace(&mut tx, &session).await.unwrap();
    assert_eq!(replace::key(&session).as_str(), "session:7");
    replace::invalidate(&session).await.unwrap();
    assert_eq!(tx.0, 7);
    assert_eq!(rename(1, "Ada").await.unwrap(), 4);
    keep(1, b"abc").await;
    assert_eq!(share(1, &Arc::new(session.clone())).await, 8);
    maybe(1, Some(session.clone())).await.unwrap();
    assert_eq!(create(&mut tx).await.unwrap().unwrap().id, 8);
    assert_eq!(create::SPEC.template(), "session:<return.id>");
    assert_eq!(import("t".to_owned(), session.clone()).await.unwrap(), 7);
    assert_eq!(touch(3).await.unwrap().version, 2);
    touch::invalidate(3).await.unwrap();
    any(1, 5_u8).await.unwrap();
    assert_eq!(sized("x", [1, 2]).await, [1, 2]);

    let mut repo = Repo {
        cache: Cache::builder().build().await.unwrap(),
        rows: 0,
    };
    let saved = tokio::spawn(async move {
        let saved = Store::save(&mut repo, session).await;
        repo.name("Ada").await.map(|()| saved)
    });
    assert_eq!(saved.await.unwrap().unwrap().unwrap().id, 7);
    assert_eq!(Repo::plain(4).await, 4);

    #[cached(pattern = "write-through", key = "local:<id>")]
    async fn local(id: u64) -> u64 {
        id
    }
    assert_eq!(local(5).await, 5);
}
