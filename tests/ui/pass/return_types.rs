//! `Result` and `Option` are known by type: an alias works, and a type of that name that is another is plain.
#![deny(warnings)]

use std::sync::Arc;

use cache_runtime::{Cache, cached};

type Answer<T> = std::result::Result<Option<T>, std::io::Error>;
type Maybe = Option<u64>;

mod other {
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct Result<T>(pub T);
}

#[cached]
async fn alias(fail: bool) -> Answer<String> {
    if fail {
        return Err(std::io::Error::other("no"));
    }
    let text: String = Ok::<_, std::io::Error>("x".to_owned())?;
    Ok(Some(text))
}

#[cached]
async fn maybe(id: u64) -> Maybe {
    (id > 0).then_some(id)
}

#[cached]
async fn plain(id: u64) -> other::Result<u64> {
    other::Result(id)
}

#[cached]
async fn shared(id: u64) -> Result<Arc<str>, Arc<str>> {
    Ok(id.to_string().into())
}

#[tokio::main]
async fn main() {
    Cache::builder()
        .build()
        .await
        .unwrap()
        .scope(async {
            assert!(alias(true).await.is_err());
            assert_eq!(alias::peek(true).await.map(|found| found.is_ok()), None);
            assert_eq!(alias(false).await.unwrap().as_deref(), Some("x"));
            assert_eq!(maybe(0).await, None);
            assert_eq!(maybe(1).await, Some(1));
            assert_eq!(plain(1).await, other::Result(1));
            assert_eq!(shared(1).await.as_deref(), Ok("1"));
        })
        .await;
}
