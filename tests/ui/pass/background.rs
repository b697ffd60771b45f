//! Functions whose loads may outlive their calls: borrowed arguments are made owned for them.
#![deny(warnings)]

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use cache_runtime::{Cache, Error, KeyPart, cached};

#[derive(Clone)]
struct Pool(u64);

#[cached(key = "text:<text>", stampede = "swr", refresh_after = "1m")]
async fn text(pool: &Pool, text: &str, parts: &[u64]) -> u64 {
    tokio::task::yield_now().await;
    pool.0 + text.len() as u64 + parts.iter().sum::<u64>()
}

#[cached(key = "late:<id>", timeout = "5s")]
async fn late(pool: &Pool, id: &str) -> Result<u64, Error> {
    tokio::task::yield_now().await;
    Ok(pool.0 + id.len() as u64)
}

#[cached(
    key = "both:<id>:<mode>",
    stampede = "lock+early+swr",
    refresh_after = "1m",
    ttl = "5m",
    beta = 2,
    timeout = "5s",
    stale_if_error = "1h",
    negative_ttl = "10s"
)]
async fn both<'a>(
    mut id: &'a str,
    mut mode: u8,
    path: &'static Path,
) -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
    id = id.trim();
    mode += 1;
    let shown = format!("{id} {mode} {}", path.display());
    Ok(Some(shown.parse::<String>()?))
}

#[cached(key = "by-value:<id>", stampede = "swr", refresh_after = 5)]
async fn by_value(pool: Arc<Pool>, id: String, (a, b): (u64, u64), _: &Pool) -> u64 {
    pool.0 + id.len() as u64 + a + b
}

#[cached(key = "generic:<id>", stampede = "swr", refresh_after = 5)]
async fn generic<T, K, const N: usize>(value: &T, id: K, all: &[T]) -> Vec<T>
where
    T: Clone + serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
    K: KeyPart + Send + 'static,
{
    let _ = id;
    let mut found = vec![value.clone(); N];
    found.extend_from_slice(all);
    found
}

#[cached(key = "impl:<id>", stampede = "swr", refresh_after = 5)]
async fn unnamed(id: u64, shown: impl Display + Send + 'static) -> String {
    format!("{id} {shown}")
}

// Not used by the body, and so not copied.
struct NotClone;

#[cached(key = "unused:<id>", stampede = "swr", refresh_after = 5)]
async fn unused(id: &str, _other: &NotClone) -> u64 {
    5
}

#[derive(Clone)]
struct Repo {
    name: String,
    cache: Cache,
}

impl Repo {
    #[cached(key = "repo:<self.name>:<id>", cache = self.cache, stampede = "swr", refresh_after = 5)]
    async fn by_ref(&self, id: &str) -> String {
        struct Inner(u8);
        impl Inner {
            fn get(&self) -> u8 {
                self.0
            }
        }
        let all = [self.name.as_str(), id].map(|part| format!("{part}{}", self.name));
        tokio::task::yield_now().await;
        format!("{} {} {}", self.name, all.len(), Inner(5).get()) + &self.clone().suffix()
    }

    #[cached(key = "arc:<id>", timeout = 5)]
    async fn arc(self: Arc<Self>, id: u64) -> Result<String, Error> {
        tokio::task::yield_now().await;
        Ok(format!("{} {id}", self.name))
    }

    #[cached(key = "ref-arc:<id>", timeout = 5)]
    async fn ref_arc(self: &Arc<Self>, id: u64) -> Result<String, Error> {
        Ok(format!("{} {id}", self.name))
    }

    #[cached(key = "by-value:<id>", timeout = 5)]
    async fn by_value(mut self, id: u64) -> Result<String, Error> {
        self.name.push('!');
        Ok(format!("{} {id}", self.name))
    }

    #[cached(key = "no-self:<id>", timeout = 5)]
    async fn no_self(&self, id: u64) -> Result<u64, Error> {
        Ok(id)
    }

    fn suffix(self) -> String {
        self.name
    }
}

trait Loader {
    async fn load(&self, id: &str) -> Result<String, Error>;

    #[cached(key = "default:<id>", stampede = "swr", refresh_after = 5)]
    async fn load_default(&self, id: &str) -> String
    where
        Self: Clone + Send + Sync + 'static,
    {
        format!("{} {id}", self.name())
    }

    fn name(&self) -> String;
}

impl Loader for Repo {
    #[cached(
        key = "trait:<id>",
        stampede = "swr",
        refresh_after = "1s",
        timeout = "1s"
    )]
    async fn load(&self, id: &str) -> Result<String, Error> {
        Ok(format!("{} {id}", self.name))
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

fn assert_send<T: Send>(future: T) -> T {
    future
}

#[tokio::main]
async fn main() {
    let cache = Cache::builder().build().await.unwrap();
    let repo = Repo {
        name: "r".to_owned(),
        cache: cache.clone(),
    };
    let pool = Pool(1);
    cache
        .scope(async {
            assert_eq!(assert_send(text(&pool, "ab", &[3])).await, 6);
            assert_eq!(text::peek("ab").await, Some(6));
            assert_eq!(assert_send(late(&pool, "ab")).await.unwrap(), 3);
            let path = Path::new("p");
            assert_eq!(both(" a ", 1, path).await.unwrap().unwrap(), "a 2 p");
            let own = Arc::new(Pool(1));
            assert_eq!(by_value(own, "a".into(), (1, 2), &pool).await, 5);
            assert_eq!(generic::<_, _, 2>(&1_u8, 1, &[2]).await, [1, 1, 2]);
            assert_eq!(assert_send(unnamed(1, "x")).await, "1 x");
            assert_eq!(unused("x", &NotClone).await, 5);
            assert_eq!(assert_send(repo.by_ref("id")).await, "r 2 5r");
            assert_eq!(Arc::new(repo.clone()).arc(1).await.unwrap(), "r 1");
            assert_eq!(Arc::new(repo.clone()).ref_arc(1).await.unwrap(), "r 1");
            assert_eq!(repo.clone().by_value(1).await.unwrap(), "r! 1");
            assert_eq!(repo.no_self(1).await.unwrap(), 1);
            assert_eq!(assert_send(repo.load("x")).await.unwrap(), "r x");
            assert_eq!(repo.load_default("x").await, "r x");
        })
        .await;
}
