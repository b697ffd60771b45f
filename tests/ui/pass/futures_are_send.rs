//! The futures of a function and of its companion can be spawned where the body can.
#![deny(warnings)]

use cache_runtime::{Cache, cached, invalidates};

#[derive(Clone)]
struct Db(Cache);

#[cached(key = "user:<id>", cache = db.0)]
async fn load(db: &Db, id: &str) -> Result<String, String> {
    let _ = db;
    tokio::task::yield_now().await;
    Ok(id.to_owned())
}

#[invalidates("user:<return>", "user:<id>", cache = db.0)]
async fn write(db: &mut Db, id: &str) -> Result<String, String> {
    let _ = db;
    tokio::task::yield_now().await;
    Ok(id.to_owned())
}

#[tokio::main]
async fn main() {
    let db = Db(Cache::builder().build().await.unwrap());
    let mut own = db.clone();
    tokio::spawn(async move { write(&mut own, "1").await })
        .await
        .unwrap()
        .unwrap();
    let own = db.clone();
    assert_eq!(
        tokio::spawn(async move { load(&own, "1").await })
            .await
            .unwrap()
            .as_deref(),
        Ok("1")
    );
    assert!(tokio::spawn(load::peek(&db, "1")).await.unwrap().is_some());
    tokio::spawn(load::invalidate(&db, "1"))
        .await
        .unwrap()
        .unwrap();
    let own = db.clone();
    tokio::spawn(async move { load::put(&own, "1", "2".to_owned()).await })
        .await
        .unwrap()
        .unwrap();
    let own = db.clone();
    assert_eq!(
        tokio::spawn(async move { load::refresh(&own, "1").await })
            .await
            .unwrap()
            .as_deref(),
        Ok("1")
    );
}
