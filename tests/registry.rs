//! What the program knows of itself: `cache.functions()`, `cache.check()`, and what is refused when a cache is built.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{
    Cache, Consistency, Error, Finding, FindingKind, FunctionInfo, Pattern, cached, invalidates,
};

// A function of each kind. Those of the module `clean` agree with each other.

mod clean {
    use super::*;

    #[cached(
        key = "user:<id>",
        ttl = 300,
        negative_ttl = 30,
        consistency = "strict"
    )]
    pub async fn load_user(id: u64) -> Result<Option<Arc<String>>, String> {
        Ok(Some(Arc::new(id.to_string())))
    }

    /// The same template as a batch, by other names, and a type in other clothes.
    #[cached(key = "user:<list[]>", ttl = 300)]
    pub async fn load_users(list: &[u64]) -> Result<HashMap<u64, String>, String> {
        Ok(list.iter().map(|id| (*id, id.to_string())).collect())
    }

    #[cached(pattern = "write-through", key = "user:<user>", ttl = 300)]
    pub async fn save_user(user: u64) -> Result<String, Error> {
        Ok(user.to_string())
    }

    #[invalidates("user:<id>", "users-of:<org>:<page>")]
    pub async fn rename_user(id: u64, org: &str, page: u8) {}

    #[cached(key = "users-of:<org>:<page>", ttl = "5m")]
    pub async fn users_of(org: &str, page: u8) -> Vec<u64> {
        vec![org.len() as u64, page.into()]
    }

    /// Invalidated by its tag alone.
    #[cached(key = "order:<id>", ttl = 300, tags = ["orders-of:<user>", "state:<return.0>"])]
    pub async fn load_order(id: u64, user: u64) -> (String, u64) {
        (id.to_string(), user)
    }

    #[invalidates(tags("orders-of:<id>"))]
    pub async fn drop_orders(id: u64) {}

    #[invalidates(tags("state:open"))]
    pub async fn close_all() {}

    /// A number is no word: this does not overlap with `user:<id>`.
    #[cached(key = "user:all", ttl = 300)]
    pub async fn all_users() -> u64 {
        0
    }

    #[invalidates("user:all")]
    pub async fn clear_users() {}

    /// Nobody can invalidate it by a template, and it is not asked for.
    #[cached(ttl = 60)]
    pub async fn by_default(id: u64) -> u64 {
        id
    }

    /// The key orders the writes, and names no entry.
    #[cached(pattern = "write-behind", key = "seen:<page>", value = none)]
    pub async fn seen(page: u64) -> Result<(), Error> {
        let _ = page;
        Ok(())
    }
}

/// Never called and never named: it is there all the same.
#[allow(dead_code)]
struct Shop;

impl Shop {
    #[cached(key = "shelf:<id>", ttl = 300)]
    async fn shelf(&self, id: u64) -> u64 {
        id
    }

    #[invalidates("shelf:<id>")]
    async fn fill_shelf(&mut self, id: u64) {}
}

#[cached(key = "generic:<id>", ttl = 300)]
async fn generic<
    T: From<u64> + Clone + serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
>(
    id: u64,
) -> T {
    T::from(id)
}

#[allow(dead_code)]
trait Change {
    async fn change(&self, id: u64);
}

impl<T: Sync> Change for Vec<T> {
    #[invalidates("generic:<id>")]
    async fn change(&self, id: u64) {}
}

#[allow(clippy::extra_unused_type_parameters)]
fn around<T>() {
    #[cached(key = "inside:<id>", ttl = 300)]
    async fn inside(id: u64) -> u64 {
        id
    }

    #[invalidates("inside:<id>")]
    async fn change_inside(id: u64) {}
}

/// What may be meant so.
mod perhaps {
    use super::*;

    type MemberId = u64;

    /// Of the type's name nothing is known.
    #[cached(key = "member:<id>", ttl = 300)]
    pub async fn member(id: MemberId) -> u64 {
        id
    }

    #[cached(key = "member:all", ttl = 300)]
    pub async fn all_members() -> u64 {
        0
    }

    #[invalidates("member:<id>")]
    pub async fn change_members(id: MemberId) {}

    #[cached(key = "room:<id>", ttl = 300)]
    pub async fn room(id: u64) -> u64 {
        id
    }

    #[invalidates("room:<id>")]
    pub async fn change_room(id: u64) {}

    /// On a cache of its own, perhaps.
    #[cached(key = "room:<id>", ttl = 300, tags = ["house:<id>"], cache = cache)]
    pub async fn room_elsewhere(cache: &Cache, id: u64) -> String {
        let _ = cache;
        id.to_string()
    }

    #[invalidates(tags("house:<id>"))]
    pub async fn change_house(id: u64) {}

    #[allow(dead_code)]
    struct One;

    #[allow(dead_code)]
    struct Two;

    impl One {
        #[cached(ttl = 60, skip(self))]
        async fn listed(&self, id: u64) -> u64 {
            id
        }
    }

    impl Two {
        #[cached(ttl = 300, tags = ["house:<id>"], skip(self))]
        async fn listed(&self, id: u64) -> String {
            id.to_string()
        }
    }
}

mod wrong {
    use super::*;

    #[invalidates("usr:<id>")]
    pub async fn misspelled(id: u64) {}

    #[invalidates("nothing-like-it:<id>")]
    pub async fn far(id: u64) {}

    #[cached(key = "page:<name>", ttl = 300)]
    pub async fn page(name: &str) -> String {
        name.to_owned()
    }

    #[cached(key = "page:index", ttl = 300)]
    pub async fn index() -> String {
        String::new()
    }

    #[cached(key = "stock:<sku>", ttl = 300)]
    pub async fn stock(sku: u64) -> u64 {
        sku
    }

    #[cached(key = "stock:<id>", ttl = 60)]
    pub async fn stock_as_text(id: u64) -> Option<String> {
        Some(id.to_string())
    }

    #[cached(key = "item:<id>", ttl = 300, tags = ["of:<shop>"])]
    pub async fn item(id: u64, shop: u64) -> u64 {
        id + shop
    }

    #[cached(key = "item:<id>", ttl = 300)]
    pub async fn bare_item(id: u64) -> u64 {
        id
    }

    #[invalidates(tags("off:<shop>"))]
    pub async fn close_shop(shop: u64) {}

    #[cached(pattern = "write-through", key = "session:<id>", ttl = 60, value = name)]
    pub async fn save_session(id: u64, name: String) -> Result<(), Error> {
        let _ = (id, name);
        Ok(())
    }
}

mod versions {
    use super::*;

    #[cached(key = "seat:<id>", ttl = 300)]
    pub async fn seat(id: u64) -> u64 {
        id
    }

    #[cached(
        pattern = "write-through",
        key = "seat:<id>",
        ttl = 300,
        version = "<return>"
    )]
    pub async fn take_seat(id: u64) -> Result<u64, Error> {
        Ok(id)
    }

    #[cached(
        pattern = "write-through",
        key = "seat:<id>",
        ttl = 300,
        version = "<return>"
    )]
    pub async fn leave_seat(id: u64) -> Result<u64, Error> {
        Ok(id)
    }

    #[cached(pattern = "write-through", key = "seat:<id>", ttl = 300)]
    pub async fn paint_seat(id: u64) -> Result<u64, Error> {
        Ok(id)
    }

    #[invalidates("seat:<id>")]
    pub async fn remove_seat(id: u64) {}
}

async fn cache() -> Cache {
    Cache::builder().build().await.unwrap()
}

fn line_of(function: &str) -> u32 {
    let source = include_str!("registry.rs");
    let at = source
        .rfind(&format!("fn {function}("))
        .or_else(|| source.rfind(&format!("fn {function}<")));
    let before = &source[..at.unwrap()];
    // The line of the attribute, which is the last one before it at the start of which one stands.
    let lines: Vec<_> = before.lines().collect();
    let line = lines
        .iter()
        .rposition(|line| {
            let line = line.trim_start();
            line.starts_with("#[cached") || line.starts_with("#[invalidates")
        })
        .unwrap();
    u32::try_from(line).unwrap() + 1
}

async fn info(name: &str) -> FunctionInfo {
    let functions = cache().await.functions();
    let mut found = functions
        .into_iter()
        .filter(|function| function.place.name == name);
    let info = found.next().unwrap_or_else(|| panic!("no `{name}`"));
    assert!(found.next().is_none(), "`{name}` is there twice");
    info
}

#[tokio::test]
async fn every_annotated_function_is_listed_with_its_place() {
    let functions = cache().await.functions();
    let names = [
        "load_user",
        "load_users",
        "save_user",
        "rename_user",
        "users_of",
        "all_users",
        "clear_users",
        "load_order",
        "drop_orders",
        "close_all",
        "by_default",
        "seen",
        "shelf",
        "fill_shelf",
        "generic",
        "change",
        "inside",
        "change_inside",
        "member",
        "all_members",
        "change_members",
        "room",
        "change_room",
        "room_elsewhere",
        "change_house",
        "misspelled",
        "far",
        "page",
        "index",
        "stock",
        "stock_as_text",
        "item",
        "bare_item",
        "close_shop",
        "save_session",
        "seat",
        "take_seat",
        "leave_seat",
        "paint_seat",
        "remove_seat",
    ];
    for name in names {
        let found = functions
            .iter()
            .find(|function| function.place.name == name);
        let place = &found.unwrap_or_else(|| panic!("no `{name}`")).place;
        assert_eq!(place.file, "tests/registry.rs");
        assert_eq!(place.line, line_of(name), "{name}");
    }
    // And two methods of one name.
    assert_eq!(functions.len(), names.len() + 2);
    assert!(
        functions
            .windows(2)
            .all(|pair| pair[0].place < pair[1].place)
    );
    let _ = around::<u8>;
}

#[tokio::test]
async fn a_function_is_described_as_it_is_annotated() {
    let load_user = info("load_user").await;
    assert_eq!(load_user.place.module, "registry::clean");
    assert_eq!(load_user.pattern, Some(Pattern::Aside));
    assert_eq!(load_user.templates, ["user:<id>"]);
    assert_eq!(load_user.value, Some("alloc::string::String"));
    assert_eq!(load_user.ttl, Some(Duration::from_secs(300)));
    assert_eq!(load_user.negative_ttl, Some(Duration::from_secs(30)));
    assert_eq!(load_user.refresh_after, None);
    assert_eq!(load_user.consistency, Consistency::Strict);
    let by: Vec<_> = load_user
        .invalidated_by
        .iter()
        .map(|place| place.name)
        .collect();
    assert_eq!(by, ["save_user", "rename_user"]);

    assert_eq!(
        info("load_users").await.value,
        Some("alloc::string::String")
    );
    let writer = info("rename_user").await;
    assert_eq!((writer.pattern, writer.value), (None, None));
    assert_eq!(writer.templates, ["user:<id>", "users-of:<org>:<page>"]);
    let of_org = info("users_of").await;
    assert_eq!(of_org.invalidated_by[0].name, "rename_user");
    let order = info("load_order").await;
    assert_eq!(order.tags, ["orders-of:<user>", "state:<return.0>"]);
    let by: Vec<_> = order
        .invalidated_by
        .iter()
        .map(|place| place.name)
        .collect();
    assert_eq!(by, ["drop_orders", "close_all"]);
    assert_eq!(info("close_all").await.tags, ["state:open"]);
    assert_eq!(info("shelf").await.value, None);
    assert_eq!(info("generic").await.invalidated_by[0].name, "change");
    assert_eq!(
        info("save_session").await.value,
        Some("alloc::string::String")
    );
    assert_eq!(info("seen").await.pattern, Some(Pattern::WriteBehind));
    let shown = load_user.to_string();
    assert!(
        shown.contains(
            "load_user: aside `user:<id>`, ttl 300s, negative_ttl 30s, invalidated by `save_user`"
        ),
        "{shown}"
    );
}

/// The findings about a function of this name.
async fn findings(name: &str) -> Vec<(FindingKind, String)> {
    let check = cache().await.check();
    let about = |finding: &&Finding| finding.places.iter().any(|place| place.name == name);
    let found = check.errors.iter().chain(&check.warnings).filter(about);
    found
        .map(|finding| (finding.kind, finding.to_string()))
        .collect()
}

#[tokio::test]
async fn what_agrees_is_not_reported() {
    for name in [
        "load_user",
        "load_users",
        "save_user",
        "rename_user",
        "users_of",
        "all_users",
        "clear_users",
        "load_order",
        "drop_orders",
        "close_all",
        "by_default",
        "seen",
        "shelf",
        "fill_shelf",
        "generic",
        "change",
        "inside",
        "change_inside",
    ] {
        assert_eq!(findings(name).await, [], "{name}");
    }
}

#[tokio::test]
async fn what_is_invalidated_and_never_cached_is_an_error() {
    let [(FindingKind::NeverCached, text)] = &findings("misspelled").await[..] else {
        panic!("{:?}", findings("misspelled").await)
    };
    let expected = format!(
        "tests/registry.rs:{}: `misspelled` invalidates `usr:<id>`, which no function caches; did you mean `user:<id>`?",
        line_of("misspelled")
    );
    assert_eq!(*text, expected);
    let far = findings("far").await;
    assert_eq!(far.len(), 1);
    assert!(far[0].1.ends_with("which no function caches"), "{far:?}");
}

#[tokio::test]
async fn templates_that_can_make_the_same_key_are_an_error() {
    let found = findings("index").await;
    let overlap = found.iter().find(|(kind, _)| *kind == FindingKind::Overlap);
    let text = &overlap.unwrap().1;
    assert!(
        text.contains("`page:index` of `index` and `page:<name>` of `page` (tests/registry.rs:"),
        "{text}"
    );
}

#[tokio::test]
async fn what_may_be_meant_so_is_a_warning() {
    let check = cache().await.check();
    let of = |findings: &[Finding], name| {
        let about = findings
            .iter()
            .filter(|finding| finding.places.iter().any(|place| place.name == name));
        about.map(|finding| finding.kind).collect::<Vec<_>>()
    };
    for name in ["all_members", "room_elsewhere", "listed"] {
        assert_eq!(of(&check.errors, name), [], "{name}");
    }
    assert_eq!(of(&check.warnings, "all_members"), [FindingKind::Overlap]);
    assert_eq!(
        of(&check.warnings, "room_elsewhere"),
        [FindingKind::OtherType, FindingKind::OtherTags]
    );
    assert_eq!(of(&check.warnings, "listed"), []);
}

#[tokio::test]
async fn functions_of_one_template_that_differ_are_reported() {
    let found = findings("stock_as_text").await;
    let text = |kind| &found.iter().find(|finding| finding.0 == kind).unwrap().1;
    let types = text(FindingKind::OtherType);
    assert!(
        types.contains("`stock_as_text` caches `alloc::string::String` as `stock:<id>`, and `stock` (tests/registry.rs:"),
        "{types}"
    );
    assert!(types.ends_with("`u64`"), "{types}");
    let ttls = text(FindingKind::OtherTtl);
    assert!(ttls.contains("for 60s"), "{ttls}");
}

#[tokio::test]
async fn tags_that_do_not_meet_are_errors() {
    let [(FindingKind::TagNeverCarried, text)] = &findings("close_shop").await[..] else {
        panic!("{:?}", findings("close_shop").await)
    };
    assert!(
        text.ends_with("`close_shop` invalidates the tag `off:<shop>`, which no entry carries; did you mean `of:<shop>`?"),
        "{text}"
    );
    let found = findings("bare_item").await;
    let text = &found
        .iter()
        .find(|(kind, _)| *kind == FindingKind::OtherTags)
        .unwrap()
        .1;
    assert!(
        text.contains("`bare_item` without the tag `of:<shop>`"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_never_invalidated_and_what_is_never_read_are_warnings() {
    let check = cache().await.check();
    let of = |kind| {
        let found = check
            .warnings
            .iter()
            .filter(move |finding| finding.kind == kind);
        found
            .map(|finding| finding.places[0].name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of(FindingKind::NeverInvalidated),
        ["page", "index", "stock", "item"]
    );
    assert_eq!(of(FindingKind::TagNeverInvalidated), ["item"]);
    assert_eq!(of(FindingKind::NeverRead), ["save_session"]);
    let errors = check.errors.iter().map(|finding| finding.kind);
    assert!(errors.clone().all(|kind| kind != FindingKind::NeverRead));
    assert_eq!(errors.count(), 6);
}

#[tokio::test]
async fn writers_without_the_version_of_others_are_a_warning() {
    for (function, beside) in [("paint_seat", 2), ("remove_seat", 2), ("take_seat", 2)] {
        let found = findings(function).await;
        assert_eq!(found.len(), beside, "{found:#?}");
        for (kind, text) in found {
            assert_eq!(kind, FindingKind::Unversioned);
            assert!(
                text.contains("give every writer of the row a version, or none"),
                "{text}"
            );
        }
    }
    assert_eq!(findings("seat").await, []);
}

#[tokio::test]
async fn one_line_of_a_test_asserts_that_nothing_is_wrong() {
    let check = cache().await.check();
    assert!(!check.is_clean());
    let caught = std::panic::catch_unwind(|| check.assert_clean()).unwrap_err();
    let listing = caught.downcast::<String>().unwrap();
    assert!(listing.contains("error: tests/registry.rs:"), "{listing}");
    assert!(listing.contains("warning: tests/registry.rs:"), "{listing}");
    let is_error = |finding: &Finding| check.errors.contains(finding);
    let warned = check.clone().tolerating(is_error);
    assert_eq!(warned.warnings.len(), check.warnings.len());
    warned.assert_clean();
    assert!(std::panic::catch_unwind(|| warned.assert_without_warnings()).is_err());
    warned.tolerating(|_| true).assert_without_warnings();
}
