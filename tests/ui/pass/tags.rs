//! Tags on every kind of function, and nothing for the compiler to warn of.

#![deny(warnings, clippy::all)]

use std::collections::HashMap;
use std::sync::Arc;

use cache_runtime::{Cache, Error, KeyPart, cached, invalidates};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct User {
    id: u64,
    org: Org,
    labels: Vec<String>,
    r#type: Option<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Org {
    id: u32,
}

fn user(id: u64) -> User {
    User {
        id,
        org: Org { id: 7 },
        labels: vec!["a".into(), "b".into()],
        r#type: None,
    }
}

#[cached(key = "user:<id>", tags = ["org:<return.org.id>", "label:<tenant>:<return.labels[]>", "type:<return.type>", "all"])]
pub async fn load(tenant: String, id: u64) -> Result<Option<User>, Arc<str>> {
    drop(tenant);
    Ok(Some(user(id)))
}

#[cached(key = "arc:<id>", tags = ["org:<return.org.id>"], ttl = 60, negative_ttl = 5)]
async fn in_arc(id: u64) -> Option<Arc<User>> {
    Some(Arc::new(user(id)))
}

#[cached(tags = ["n:<N>", "of:<part>", "value:<return>"])]
async fn generic<K: KeyPart + Sync, const N: usize>(part: &K) -> Result<String, std::fmt::Error> {
    let _ = part;
    Ok(N.to_string())
}

fn ttl(user: &User) -> Option<std::time::Duration> {
    Some(std::time::Duration::from_secs(user.id))
}

#[cached(key = "swr:<id>", tags = ["org:<return.org.id>", "name:<name>"], ttl_with = ttl, stampede = "swr", refresh_after = 5, timeout = 3)]
async fn in_background(name: &str, id: u64) -> Result<User, Error> {
    let _ = name;
    Ok(user(id))
}

#[cached(key = "batch:<ids[]>", tags = ["id:<ids[]>", "org:<return.org.id>", "in:<names[]>"])]
async fn batch(names: &[&str], ids: &[u64]) -> HashMap<u64, User> {
    let _ = names;
    ids.iter().map(|&id| (id, user(id))).collect()
}

struct Service {
    tenant: String,
}

impl Service {
    #[cached(key = "of:<self.tenant>:<id>", tags = ["tenant:<self.tenant>", "org:<self.tenant>:<return.org.id>"])]
    async fn load(&self, id: u64) -> User {
        user(id)
    }

    #[invalidates("of:<self.tenant>:<id>", tags("tenant:<self.tenant>", "org:<self.tenant>:<return.org.id>"), when = "ok")]
    async fn save(&self, id: u64) -> Result<User, String> {
        Ok(user(id))
    }
}

#[cached(pattern = "write-through", key = "user:<user.id>", value = user, tags = ["org:<user.org.id>", "label:<user.labels[]>"])]
async fn save(user: &User) -> Result<(), Error> {
    let _ = user;
    Ok(())
}

#[cached(pattern = "write-through", key = "user:<return.id>", version = "<return.id>", tags = ["org:<return.org.id>", "by:<by>"])]
async fn create(by: &str, given: User) -> Result<User, Error> {
    let _ = by;
    Ok(given)
}

#[cached(pattern = "write-behind", key = "user:<given.id>", tags = ["org:<given.org.id>", "by:<by>"], value = given)]
async fn save_later(#[context] db: &Arc<str>, by: &str, given: User) -> Result<(), Error> {
    let _ = (db, by, given);
    Ok(())
}

#[cached(pattern = "write-behind", key = "one:<only.id>", tags = ["org:<only.org.id>"])]
async fn save_one(only: User) -> Result<(), Error> {
    drop(only);
    Ok(())
}

#[invalidates(tags("org:<org>"))]
#[invalidates(tags("label:<labels[]>", "by:<return>"))]
async fn change(org: u32, labels: Vec<String>) -> String {
    drop(labels);
    org.to_string()
}

macro_rules! tagged {
    ($name:ident, $tag:literal) => {
        #[cached(key = "m:<id>", tags = [$tag])]
        async fn $name(id: u64) -> u64 {
            id
        }
    };
}
tagged!(by_macro, "id:<id>");

fn main() {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(Cache::builder().build())
        .expect("a cache in memory");
    let service = Service {
        tenant: String::new(),
    };
    let _ = load("t".to_owned(), 1);
    let _ = load::put("t".to_owned(), 1, user(1));
    let _ = (load::peek(1), load::invalidate(1), load::key(1));
    let _ = (in_arc(1), generic::<u8, 3>(&1), in_background("n", 1), batch(&["x"], &[1]));
    let _ = (service.load(1), service.save(1), by_macro(1));
    let u = user(1);
    let _ = (save(&u), create("me", user(1)), change(7, vec![]));
    let _ = (save_later("me", user(1)), save_one(user(1)));
    assert_eq!(load::SPEC.tag_templates().len(), 4);
}
