//! Write-behind writers: what is handed in, what is logged, what readers see, and the forms of the body.
#![deny(warnings)]
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Error, Pattern, WhenFull, Write, cached, invalidates};
use serde::{Deserialize, Serialize};

#[derive(Clone)]
pub struct Db;

#[derive(Debug)]
pub struct DbError;
impl From<Error> for DbError {
    fn from(_: Error) -> Self {
        Self
    }
}
impl std::fmt::Display for DbError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no database")
    }
}

type Done = Result<(), DbError>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    id: u64,
    name: String,
}

fn add(sum: &mut u64, more: u64) {
    *sum += more;
}

/// Counters that add up.
#[cached(
    pattern = "write-behind",
    key = "page:<page>",
    merge = add,
    flush = "1s",
    batch = 500,
    max_pending = 10,
    when_full = "through",
    batch_with = count_all
)]
pub async fn count(#[context] db: &Db, page: u64, mut views: u64, #[sequence] seq: i64) -> Done {
    views += 1;
    let _ = (db, page, views, seq);
    // The writer itself, as its callers see it.
    if views > 1000 { count(page, 1).await } else { Ok(()) }
}

async fn count_all(db: &Db, writes: Vec<Write<(u64, u64)>>) -> Result<(), String> {
    let _ = db;
    for write in writes {
        let ((page, views), number) = (write.args, write.sequence);
        let _ = page + views + number;
    }
    Ok(())
}

#[cached(pattern = "write-behind", key = "total", merge = add)]
async fn total(views: u64) -> Done {
    let _ = views;
    Ok(())
}

fn both(sums: &mut (u64, String), more: (u64, String)) {
    sums.0 += more.0;
    sums.1.push_str(&more.1);
}

#[cached(pattern = "write-behind", key = "<b>:<a>", merge = both)]
async fn several(a: u8, n: u64, b: &str, text: String) -> Done {
    let _ = (a, n, b, text);
    Ok(())
}

/// The argument of whose field the key is made is the value.
#[cached(pattern = "write-behind", key = "user:<user.id>", ttl = 60, jitter = "5%", codec = "bincode")]
#[invalidates("users", "name:<user.name>")]
pub async fn save_user(#[context] db: Db, user: User) -> Done {
    let _ = (db, user);
    Ok(())
}

fn short(name: &String) -> Option<Duration> {
    Some(Duration::from_secs(name.len() as u64))
}

#[invalidates("names")]
#[cached(pattern = "write-behind", key = "name:<id>", value = name, ttl_with = short)]
async fn rename(id: u64, name: &str, #[context] db: &Arc<Db>, #[sequence] at: u64) -> Done {
    let _ = (id, name.len(), db, at);
    tokio::task::yield_now().await;
    Ok(())
}

#[cached(pattern = "write-behind", key = "user:<org>:<user.id>")]
async fn of_org(org: u32, user: &User) -> Done {
    let _ = (org, user);
    Ok(())
}

#[cached(pattern = "write-behind", key = "shared:<id>", value = user)]
async fn shared(id: u64, user: Arc<User>, tags: &[String], map: &BTreeMap<u8, u8>) -> Done {
    let _ = (id, user, tags, map);
    Ok(())
}

#[cached(pattern = "write-behind", key = "maybe:<id>", value = user)]
async fn maybe(id: u64, user: Option<User>) -> Done {
    let _ = (id, user);
    Ok(())
}

#[cached(pattern = "write-behind", key = "row:<id>", value = none)]
async fn forget(#[context] (_, _): &(u8, u8), id: u64) -> Done {
    let _ = id;
    Ok(())
}

#[cached(pattern = "write-behind", key = "all", value = none)]
async fn nothing(#[context] _: &Db) -> Result<(), Error> {
    Ok(())
}

mod inner {
    use super::{Done, cached};

    #[must_use]
    #[cached(pattern = "write-behind", key = "x:<x>", value = none)]
    #[cfg_attr(all(), allow(clippy::unused_async))]
    pub(super) async fn visible(x: u64) -> Done {
        #![allow(unused_variables)]
        let y = x;
        Ok(())
    }
}

struct Repo;
impl Repo {
    #[cached(pattern = "write-behind", key = "y:<y>", value = none, companion = false)]
    async fn associated(y: u64) -> Done {
        let _ = y;
        Ok(())
    }
}

fn spawnable(_: impl Future<Output = ()> + Send + 'static) {}

#[tokio::main]
async fn main() {
    #[cached(pattern = "write-behind", key = "local:<id>", value = none)]
    async fn local(id: u64) -> Done {
        let _ = id;
        Ok(())
    }

    let user = User {
        id: 1,
        name: "Ada".to_owned(),
    };
    assert_eq!(count::key(3).as_str(), "page:3");
    assert_eq!(save_user::key(user.clone()).as_str(), "user:1");
    assert_eq!(save_user::SPEC.pattern(), Pattern::WriteBehind);
    let queueing = count::SPEC.write_queueing();
    assert_eq!(queueing.flush(), Duration::from_secs(1));
    assert_eq!(queueing.batch_size(), 500);
    assert_eq!(queueing.pending_bound(), 10);
    assert_eq!(queueing.full(), WhenFull::Through);
    count::invalidate(3).await.unwrap();

    // What the calls come to is tested elsewhere: here they have to compile, and to be `Send`.
    let calls = async move {
        let _ = count(1, 2).await;
        let _ = total(1).await;
        let _ = several(1, 2, "b", "c".to_owned()).await;
        let _ = save_user(user.clone()).await;
        let _ = rename(1, "Ada").await;
        let _ = of_org(1, &user).await;
        let _ = shared(1, Arc::new(user.clone()), &[], &BTreeMap::new()).await;
        let _ = maybe(1, Some(user)).await;
        let _ = forget(1).await;
        let _ = nothing().await;
        let _ = inner::visible(1).await;
        let _ = Repo::associated(1).await;
        let _ = local(1).await;
    };
    spawnable(calls);

    // Each is in the program's list.
    let all = cache_runtime::private::inventory::iter::<cache_runtime::private::Registered>;
    assert_eq!(all.into_iter().count(), 13);
}
