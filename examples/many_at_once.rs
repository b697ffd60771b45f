//! A hundred rows for one page: one look-up, one query for those that are missing, and the same entries as the loader of a single row.

use std::collections::HashMap;

use cache_runtime::{Cache, Error, cached, invalidates};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Product {
    id: u64,
    price: u64,
}

/// `select id, price from product where id = any($1)`
async fn select(ids: &[u64]) -> HashMap<u64, Product> {
    println!("  query for {} rows", ids.len());
    // There are no products of a thousand and more.
    let rows = ids.iter().filter(|id| **id < 1_000);
    rows.map(|&id| (id, Product { id, price: id * 10 }))
        .collect()
}

/// Each product has an entry of its own. That there is none of an id is kept for half a minute.
#[cached(key = "product:<ids[]>", ttl = "5m", negative_ttl = "30s")]
async fn products(ids: &[u64]) -> HashMap<u64, Product> {
    select(ids).await
}

/// The same entries, one at a time.
#[cached(key = "product:<id>", ttl = "5m", negative_ttl = "30s")]
async fn product(id: u64) -> Option<Product> {
    select(&[id]).await.remove(&id)
}

#[invalidates("product:<ids[]>")]
async fn reprice(ids: &[u64]) {
    println!("  update of {} rows", ids.len());
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let cache = Cache::builder().build().await?;
    cache.clone().install()?;

    println!("a hundred products, none of them cached:");
    let page: Vec<u64> = (0..100).collect();
    assert_eq!(products(&page).await.len(), 100);

    println!("fifty of them, and fifty others:");
    let next: Vec<u64> = (50..150).collect();
    assert_eq!(products(&next).await.len(), 100);

    println!("one of them, and one that does not exist, twice:");
    for _ in 0..2 {
        assert!(product(120).await.is_some());
        assert_eq!(product(5_000).await, None);
    }

    println!("two prices change:");
    reprice(&[7, 70]).await;
    assert_eq!(products(&page).await.len(), 100);

    let stats = cache.stats().function(products::SPEC);
    println!(
        "{} elements found, {} loaded by {} queries",
        stats.hits, stats.misses, stats.loads
    );
    Ok(())
}
