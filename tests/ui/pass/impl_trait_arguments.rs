//! `impl Trait` arguments.
#![deny(warnings)]

use cache_runtime::{Cache, KeyPart, cached, invalidates};

#[cached]
async fn by_any(id: impl KeyPart + ToString) -> String {
    format!("{}{}", std::any::type_name_of_val(&id), id.to_string())
}

#[cached(key = "x:<id>")]
async fn calls(f: impl Fn(u64) -> u64, id: u64) -> u64 {
    f(id)
}

#[invalidates("x:<id>")]
async fn forget(id: impl KeyPart) -> bool {
    let _ = id;
    true
}

#[tokio::main]
async fn main() {
    Cache::builder()
        .build()
        .await
        .unwrap()
        .scope(async {
            // Equal text of different types is not the same call.
            assert_eq!(by_any(1_u8).await, "u81");
            assert_eq!(by_any("1").await, "&str1");
            assert_ne!(by_any::key(1_u8), by_any::key("1"));
            assert!(by_any::peek(1_u8).await.is_some());
            assert_eq!(calls(|n| n + 1, 1).await, 2);
            assert_eq!(calls::peek(1).await, Some(2));
            assert_eq!(calls::refresh(|n| n + 2, 1).await, 3);
            assert!(forget(1).await);
        })
        .await;
}
