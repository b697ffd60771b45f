//! The companion reads, writes, removes and renews one entry.
#![deny(warnings)]

use cache_runtime::{Cache, cached};

#[cached(key = "square:<n>")]
async fn square(calls: &std::cell::Cell<u32>, n: u64) -> Result<Option<u64>, String> {
    calls.set(calls.get() + 1);
    Ok(Some(n * n))
}

#[tokio::main]
async fn main() {
    let cache = Cache::builder().build().await.unwrap();
    let calls = std::cell::Cell::new(0);
    cache
        .scope(async {
            assert_eq!(square::peek(3).await, None);
            assert_eq!(square(&calls, 3).await, Ok(Some(9)));
            assert_eq!(square::peek(3).await, Some(Ok(Some(9))));
            square::put(3, 10).await.unwrap();
            square::put(4, Some(16)).await.unwrap();
            square::put(5, Ok(Some(25))).await.unwrap();
            assert_eq!(square(&calls, 3).await, Ok(Some(10)));
            assert_eq!(square(&calls, 5).await, Ok(Some(25)));
            assert_eq!(calls.get(), 1);
            assert_eq!(square::refresh(&calls, 3).await, Ok(Some(9)));
            assert_eq!(calls.get(), 2);
            square::invalidate(3).await.unwrap();
            assert_eq!(square::peek(3).await, None);
        })
        .await;
}
