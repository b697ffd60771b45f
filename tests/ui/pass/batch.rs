//! Batch loaders: every list, every collection, methods.
#![deny(warnings)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use cache_runtime::{Cache, KeyPart, Stampede, cached};

// Neither `Clone` nor `'static`: a reference to it is used again as it is.
struct Db<'d>(&'d str);

#[cached(
    key = "user:<tenant>:<ids[]>",
    ttl = "5m",
    jitter = "5%",
    stale_if_error = "1m",
    negative_ttl = "10s",
    stampede = "lock"
)]
async fn load_users(
    db: &Db<'_>,
    tenant: u32,
    ids: &[u64],
) -> Result<HashMap<u64, String>, std::fmt::Error> {
    tokio::task::yield_now().await;
    let found = ids.iter().map(|id| (*id, format!("{}{id}", db.0)));
    Ok(found.collect())
}

// Shares the entries.
#[cached(key = "user:<tenant>:<id>")]
async fn load_user(tenant: u32, id: u64) -> Option<String> {
    let _ = (tenant, id);
    None
}

#[cached(key = "ordered:<ids[]>", stampede = "none")]
async fn ordered(ids: &Vec<u64>) -> Vec<Option<u64>> {
    ids.iter().copied().map(Some).collect()
}

#[cached(key = "by-value:<ids[]>")]
async fn by_value(
    mut ids: Vec<u64>,
    mut text: String,
    (mut a, b): (u64, u64),
) -> BTreeMap<u64, String> {
    ids.sort_unstable();
    text.push('!');
    a += b;
    ids.into_iter()
        .map(|id| (id, format!("{text}{a}")))
        .collect()
}

#[cached(key = "strings:<names[]>")]
async fn strings(names: &[String]) -> Result<BTreeMap<String, u64>, String> {
    Ok(names.iter().map(|name| (name.clone(), 1)).collect())
}

#[cached(key = "strs:<names[]>")]
async fn strs(names: &[&str]) -> HashMap<String, usize> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), name.len()))
        .collect()
}

type Hashed<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;
type Found<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[cached(key = "hashed:<ids[]>", codec = "bincode", schema = 2)]
async fn hashed(ids: &HashSet<u64>) -> Found<Hashed<u64, std::sync::Arc<str>>> {
    Ok(ids.iter().map(|id| (*id, id.to_string().into())).collect())
}

#[cached(key = "set:<ids[]>:<N>")]
async fn set<const N: usize, T>(ids: BTreeSet<u64>, scale: &T) -> HashMap<u64, usize>
where
    T: Into<usize> + Copy,
{
    ids.into_iter()
        .map(|id| (id, N * (*scale).into()))
        .collect()
}

fn ttl_of(value: &u64) -> Option<Duration> {
    (*value > 1).then_some(Duration::from_secs(5))
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Item {
    shop: u32,
    sku: u64,
}

#[cached(key = "price:<items[].shop>:<items[].sku>", ttl_with = ttl_of)]
async fn prices(items: &[Item]) -> HashMap<Item, u64> {
    items.iter().map(|item| (item.clone(), item.sku)).collect()
}

struct Repo {
    tenant: u32,
    cache: Cache,
}

impl Repo {
    #[cached(key = "repo:<self.tenant>:<ids[]>", cache = self.cache)]
    async fn load(&self, ids: &[u64]) -> Result<HashMap<u64, u32>, String> {
        tokio::task::yield_now().await;
        Ok(ids.iter().map(|id| (*id, self.tenant)).collect())
    }
}

trait Loader<K> {
    async fn load_all(&self, ids: &[K]) -> HashMap<K, String>;
}

impl<K> Loader<K> for Repo
where
    K: KeyPart + Clone + Eq + std::hash::Hash + Send + Sync + std::fmt::Debug,
{
    #[cached(key = "trait:<self.tenant>:<ids[]>", cache = self.cache)]
    async fn load_all(&self, ids: &[K]) -> HashMap<K, String> {
        ids.iter()
            .map(|id| (id.clone(), format!("{id:?}")))
            .collect()
    }
}

#[cached(key = "names:<keys[]>:<form>")]
async fn names(keys: &[u64], form: u8, element: u8, batch: &str) -> HashMap<u64, u8> {
    let __cache_part = batch.len();
    let _ = __cache_part;
    keys.iter().map(|key| (*key, form + element)).collect()
}

fn assert_send<T: Send>(future: T) -> T {
    future
}

#[tokio::main]
async fn main() {
    let cache = Cache::builder().build().await.unwrap();
    let repo = Repo {
        tenant: 7,
        cache: cache.clone(),
    };
    let db = Db("u");
    cache
        .scope(async {
            let users = assert_send(load_users(&db, 1, &[1, 2, 1])).await.unwrap();
            assert_eq!((users.len(), users[&2].as_str()), (2, "u2"));
            assert_eq!(load_users::keys(1, &[1, 2])[1].as_str(), "user:1:2");
            assert_eq!(load_users::keys(1, &[2])[0], load_user::key(1, 2));
            assert_eq!(load_users::SPEC.stampede_mode(), Stampede::LOCK);
            load_users::invalidate(1, &[1, 2]).await.unwrap();
            assert_eq!(load_users::refresh(&db, 1, &[3]).await.unwrap().len(), 1);
            let _ = load_user(1, 2).await;
            assert_eq!(ordered(&vec![2, 1]).await, [Some(2), Some(1)]);
            let found = by_value(vec![2, 1], "t".into(), (1, 2)).await;
            assert_eq!(found[&1], "t!3");
            assert_eq!(strings(&["a".to_owned()]).await.unwrap()["a"], 1);
            assert_eq!(assert_send(strs(&["a", "bc"])).await["bc"], 2);
            assert_eq!(strs::keys(&["a"])[0].as_str(), "strs:a");
            assert_eq!(&*hashed(&HashSet::from([1])).await.unwrap()[&1], "1");
            assert_eq!(set::<3, u8>(BTreeSet::from([1]), &2).await[&1], 6);
            let item = Item { shop: 1, sku: 2 };
            assert_eq!(prices(std::slice::from_ref(&item)).await[&item], 2);
            assert_eq!(prices::keys(&[item])[0].as_str(), "price:1:2");
            assert_eq!(assert_send(repo.load(&[1])).await.unwrap()[&1], 7);
            assert_eq!(repo.load_all(&["x"]).await["x"], "\"x\"");
            assert_eq!(names(&[1], 2, 3, "").await[&1], 5);
        })
        .await;
}
