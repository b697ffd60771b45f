//! Every argument that says how long a value lives.
#![deny(warnings)]

use std::time::Duration;

use cache_runtime::{Cache, Stampede, cached};

#[cached(
    key = "all:<id>",
    ttl = "10m",
    jitter = "2.5%",
    stampede = "lock + early",
    beta = 1.5,
    stale_if_error = "1h",
    negative_ttl = 30
)]
async fn all(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

#[cached(key = "early:<id>", stampede = "early", beta = 2, jitter = "0%")]
async fn early(id: u64) -> u64 {
    id
}

#[cached(key = "none:<id>", stampede = "none", negative_ttl = "250ms")]
async fn none(id: u64) -> Option<u64> {
    Some(id)
}

type Found<T> = Result<Option<T>, String>;

#[cached(key = "alias:<id>", negative_ttl = 1)]
async fn alias(id: u64) -> Found<u64> {
    Ok(Some(id))
}

fn half_life(value: &u64) -> Option<Duration> {
    (*value > 0).then(|| Duration::from_secs(*value))
}

#[cached(key = "with:<id>", ttl_with = half_life)]
async fn with(id: u64) -> Found<u64> {
    Ok(Some(id))
}

#[cached(key = "with-none:<id>", ttl_with = half_life, negative_ttl = 5)]
async fn with_none(id: u64) -> Found<u64> {
    Ok(Some(id))
}

fn any<T>(_: &T) -> Option<Duration> {
    None
}

struct Repo;

impl Repo {
    fn ttl(value: &String) -> Option<Duration> {
        Some(Duration::from_secs(value.len() as u64))
    }

    #[cached(key = "repo:<id>", ttl_with = Self::ttl)]
    async fn name(&self, id: u64) -> String {
        id.to_string()
    }
}

#[cached(key = "generic:<id>", ttl_with = any::<Vec<T>>)]
async fn generic<T>(id: u64) -> Vec<T>
where
    T: Clone + serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let _ = id;
    Vec::new()
}

#[tokio::main]
async fn main() {
    assert_eq!(all::SPEC.ttl(), Some(Duration::from_secs(600)));
    assert_eq!(all::SPEC.jitter_share(), 0.025);
    assert_eq!(
        all::SPEC.stampede_mode(),
        Stampede::LOCK.and(Stampede::EARLY)
    );
    assert_eq!(all::SPEC.beta_factor(), 1.5);
    assert_eq!(all::SPEC.stale_if_error(), Duration::from_secs(3600));
    assert_eq!(all::SPEC.negative_ttl(), Some(Duration::from_secs(30)));
    assert_eq!(early::SPEC.stampede_mode(), Stampede::EARLY);
    assert_eq!(early::SPEC.beta_factor(), 2.0);
    assert_eq!(early::SPEC.jitter_share(), 0.0);
    assert_eq!(none::SPEC.stampede_mode(), Stampede::NONE);
    assert_eq!(alias::SPEC.negative_ttl(), Some(Duration::from_secs(1)));
    let scope = Cache::builder().build().await.unwrap();
    scope
        .scope(async {
            assert_eq!(all(1).await, Ok(Some("1".to_owned())));
            assert_eq!(early(1).await, 1);
            assert_eq!(none(1).await, Some(1));
            assert_eq!(alias(1).await, Ok(Some(1)));
            // `None` from `ttl_with`: not stored.
            assert_eq!(with(0).await, Ok(Some(0)));
            assert_eq!(with::peek(0).await, None);
            with::put(0, 0).await.unwrap();
            assert_eq!(with::peek(0).await, None);
            assert_eq!(with(1).await, Ok(Some(1)));
            assert!(with::peek(1).await.is_some());
            assert_eq!(with_none(1).await, Ok(Some(1)));
            assert_eq!(Repo.name(1).await, "1");
            assert!(generic::<u8>(1).await.is_empty());
        })
        .await;
}
