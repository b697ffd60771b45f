//! Where tags come from: arguments, fields, results, lists, elements of a batch.

use std::collections::HashMap;

use cache_runtime::{Cache, cached, invalidates};
use tests::{in_memory, on_each_backend};

use super::{Db, User, change_all, of_argument, of_result};

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Page {
    authors: Vec<u64>,
    kind: Option<String>,
}

#[cached(key = "page:<id>", tags = ["author:<return.authors[]>", "kind:<tenant>:<return.kind>", "all", "shelf:<shelves[]>"])]
async fn page(db: &Db, tenant: &str, id: u64, shelves: &[u8]) -> Result<Option<Page>, String> {
    let _ = (tenant, shelves);
    db.user(id).await;
    Ok((id > 0).then(|| Page {
        authors: vec![id, id + 1],
        kind: Some("a:b".to_owned()),
    }))
}

#[invalidates(tags("author:<return[]>", "org:<org>"))]
async fn retire(org: u32, authors: Vec<u64>) -> Vec<u64> {
    let _ = org;
    authors
}

#[cached(key = "u:<ids[]>", tags = ["org:<org>", "id:<ids[]>", "parity:<return.version>"])]
async fn users(db: &Db, org: u32, ids: &[u64]) -> HashMap<u64, User> {
    let mut found = HashMap::new();
    for &id in ids {
        let mut user = db.user(id).await;
        (user.org, user.version) = (org, id % 2);
        found.insert(id, user);
    }
    found
}

/// Loads before and after: whether the call was a hit.
async fn is_hit<T>(db: &Db, call: impl Future<Output = T>) -> bool {
    let before = db.loads();
    call.await;
    db.loads() == before
}

#[tokio::test]
async fn a_writer_invalidates_what_has_its_tag_whoever_told_it() {
    on_each_backend(async |_| {
        let db = Db::open();
        for id in 0..3 {
            of_argument(&db, 0, id).await;
            of_result(&db, id).await;
        }
        assert!(is_hit(&db, of_argument(&db, 0, 1)).await);
        assert!(is_hit(&db, of_result(&db, 1)).await);
        change_all(&db, 7).await;
        assert!(is_hit(&db, of_argument(&db, 0, 1)).await);
        assert!(is_hit(&db, of_result(&db, 1)).await);
        let version = change_all(&db, 0).await;
        for id in 0..3 {
            assert_eq!(of_argument(&db, 0, id).await.version, version);
            assert_eq!(of_result(&db, id).await.version, version);
            assert!(is_hit(&db, of_argument(&db, 0, id)).await);
            assert!(is_hit(&db, of_result(&db, id)).await);
        }
    })
    .await;
}

#[tokio::test]
async fn each_template_makes_its_tags() {
    on_each_backend(async |cache| {
        let db = Db::open();
        let call = || page(&db, "t", 1, &[4, 5]);
        for tag in [
            "author:1",
            "author:2",
            "kind:t:a%3Ab",
            "all",
            "shelf:4",
            "shelf:5",
        ] {
            call().await.unwrap();
            assert!(is_hit(&db, call()).await);
            cache.invalidate_tag(tag).await.unwrap();
            assert!(!is_hit(&db, call()).await, "{tag}");
        }
        call().await.unwrap();
        let others = [
            "author:3",
            "author",
            "kind:t:a",
            "kind:x:a%3Ab",
            "shelf:6",
            "",
        ];
        cache.invalidate_tags(others).await.unwrap();
        assert!(is_hit(&db, call()).await);
        retire(0, vec![9, 2]).await;
        assert!(!is_hit(&db, call()).await);
    })
    .await;
}

#[tokio::test]
async fn each_element_of_a_batch_has_tags_of_its_own() {
    on_each_backend(async |cache| {
        let db = Db::open();
        let all = [1, 2, 3, 4];
        let loaded = async || {
            let before = db.loads();
            let found = users(&db, 7, &all).await;
            assert_eq!(found.len(), 4);
            db.loads() - before
        };
        assert_eq!(loaded().await, 4);
        assert_eq!(loaded().await, 0);
        cache.invalidate_tag("id:2").await.unwrap();
        assert_eq!(loaded().await, 1);
        cache.invalidate_tag("parity:1").await.unwrap();
        assert_eq!(loaded().await, 2);
        cache.invalidate_tag("org:7").await.unwrap();
        assert_eq!(loaded().await, 4);
        cache.invalidate_tag("org:8").await.unwrap();
        assert_eq!(loaded().await, 0);
    })
    .await;
}

mod untagged {
    use super::{Db, User};

    /// Shares its entries with the function that gives them tags.
    #[cache_runtime::cached(key = "user:<id>")]
    pub(super) async fn reader(db: &Db, id: u64) -> User {
        db.user(id).await
    }
}

#[tokio::test]
async fn a_function_that_knows_no_tags_does_not_get_what_one_has_invalidated() {
    on_each_backend(async |cache| {
        let db = Db::open();
        of_argument(&db, 7, 1).await;
        assert!(is_hit(&db, untagged::reader(&db, 1)).await);
        cache.invalidate_tag("org:7").await.unwrap();
        assert_eq!(untagged::reader::peek(1).await, None);
        assert!(!is_hit(&db, untagged::reader(&db, 1)).await);
    })
    .await;
}

#[tokio::test]
async fn what_is_put_by_hand_has_the_tags_of_the_function() {
    on_each_backend(async |cache| {
        let db = Db::open();
        let user = db.user(1).await;
        of_argument::put(7, 1, user.clone()).await.unwrap();
        of_result::put(1, user).await.unwrap();
        assert!(is_hit(&db, of_argument(&db, 7, 1)).await);
        cache.invalidate_tag("org:7").await.unwrap();
        assert!(!is_hit(&db, of_argument(&db, 7, 1)).await);
        assert!(is_hit(&db, of_result(&db, 1)).await);
        cache.invalidate_tag("org:0").await.unwrap();
        assert!(!is_hit(&db, of_result(&db, 1)).await);
    })
    .await;
}

#[tokio::test]
async fn a_bump_of_the_namespace_is_for_every_entry_and_for_no_other_cache() {
    on_each_backend(async |cache| {
        let (db, other) = (Db::open(), in_memory().await);
        of_argument(&db, 7, 1).await;
        untagged::reader(&db, 2).await;
        other.scope(untagged::reader(&db, 2)).await;
        cache.bump_namespace().await.unwrap();
        assert!(!is_hit(&db, of_argument(&db, 7, 1)).await);
        assert!(!is_hit(&db, untagged::reader(&db, 2)).await);
        assert!(is_hit(&db, other.scope(untagged::reader(&db, 2))).await);
        assert!(is_hit(&db, untagged::reader(&db, 2)).await);
    })
    .await;
}

#[cached(key = "crowd:<id>", tags = ["m:<return[]>"])]
async fn crowd(db: &Db, id: u64, count: u64) -> Vec<u64> {
    db.user(id).await;
    (0..count).collect()
}

/// As many tags as an entry can have are kept; with more it is not stored on a server, and the call has its result.
#[tokio::test]
async fn an_entry_has_a_bounded_number_of_tags() {
    on_each_backend(async |cache: Cache| {
        let db = Db::open();
        assert_eq!(crowd(&db, 1, 256).await.len(), 256);
        assert!(is_hit(&db, crowd(&db, 1, 256)).await);
        cache.invalidate_tag("m:255").await.unwrap();
        assert!(!is_hit(&db, crowd(&db, 1, 256)).await);
        assert_eq!(crowd(&db, 2, 257).await.len(), 257);
        cache.invalidate_tag("m:256").await.unwrap();
        assert!(!is_hit(&db, crowd(&db, 2, 257)).await);
    })
    .await;
}
