//! The first code of the README, with what it takes for granted. `tests/readme.rs` holds the two against each other.

use cache_runtime::{cached, invalidates};

#[cached(pattern = "aside", key = "user:<id>", ttl = 300, stampede = "lock")]
async fn load_user(db: &Db, id: u64) -> Result<Option<User>, DbError> {
    db.query_user(id).await
}

#[invalidates("user:<id>")]
async fn rename_user(db: &Db, id: u64, name: &str) -> Result<(), DbError> {
    db.update_user(id, name).await
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct User {
    name: String,
}

#[derive(Debug)]
struct DbError;

struct Db;

impl Db {
    async fn query_user(&self, id: u64) -> Result<Option<User>, DbError> {
        Ok(Some(User { name: id.to_string() }))
    }

    async fn update_user(&self, _id: u64, _name: &str) -> Result<(), DbError> {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), DbError> {
    assert_eq!(load_user(&Db, 7).await?.map(|user| user.name).as_deref(), Some("7"));
    rename_user(&Db, 7, "Ada").await
}
