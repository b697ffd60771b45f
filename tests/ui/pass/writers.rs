//! Templates of writers: stacked, elements, the result, all of them together.
#![deny(warnings)]

use std::collections::HashSet;

use cache_runtime::{Cache, Key, cached, invalidates};

struct Row {
    id: u64,
    tags: Vec<Tag>,
}
struct Tag {
    name: String,
}
struct Order {
    id: u64,
    lines: Vec<Line>,
}
struct Line {
    sku: (u32, u32),
}

#[derive(Debug)]
struct Failed;
impl From<cache_runtime::Error> for Failed {
    fn from(_: cache_runtime::Error) -> Self {
        Self
    }
}

#[cached(key = "k:<id>")]
async fn load(id: String) -> String {
    id
}

#[invalidates("k:<id>", "k:by-<org>")]
#[invalidates("k:stacked", when = "ok")]
async fn stacked(id: u64, org: &str) -> Result<(), Failed> {
    let _ = (id, org);
    Ok(())
}

#[invalidates(
    "k:<ids[]>",
    "k:<order.lines[].sku.0>-:<order.lines[].sku.1>:<order.id>",
    "k:<set[]>"
)]
async fn elements(ids: &[u64], order: Order, set: HashSet<&str>) {
    drop((ids.len(), order, set));
}

#[invalidates("k:<return.id>", "k:<return.tags[].name>:<name>", "k:<name>")]
async fn result(name: String) -> Result<Option<Row>, Failed> {
    Ok(Some(Row {
        id: 5,
        tags: vec![Tag { name }],
    }))
}

#[invalidates("k:<id>", consistency = "strict")]
async fn strict(tx: &mut u64, id: u64) -> Result<u64, Failed> {
    *tx += id;
    Ok(*tx)
}

async fn filled(id: &str) {
    load::put(id.to_owned(), id.to_owned()).await.unwrap();
}

async fn gone(id: &str) -> bool {
    load::peek(id.to_owned()).await.is_none()
}

#[tokio::main]
async fn main() {
    Cache::builder()
        .build()
        .await
        .unwrap()
        .scope(async {
            for id in ["1", "2", "by-a", "stacked", "5"] {
                filled(id).await;
            }
            stacked(1, "a").await.unwrap();
            assert!(
                gone("1").await && gone("by-a").await && gone("stacked").await && !gone("2").await
            );

            filled("1").await;
            filled("x").await;
            let order = Order {
                id: 9,
                lines: vec![Line { sku: (7, 8) }],
            };
            let cache = Cache::current();
            let key = Key::from("k:7-:8:9");
            elements(&[1, 2], order, HashSet::from(["x"])).await;
            assert!(gone("1").await && gone("2").await && gone("x").await && !gone("5").await);
            drop((cache, key));

            filled("name").await;
            assert!(result("name".to_owned()).await.unwrap().is_some());
            assert!(gone("5").await && gone("name").await);

            filled("3").await;
            let mut tx = 1;
            assert_eq!(strict(&mut tx, 3).await.unwrap(), 4);
            assert_eq!(tx, 4);
            assert!(gone("3").await);
        })
        .await;
}
