//! Arguments that are patterns: the names that they bind may stand in the key.
#![deny(warnings)]

use cache_runtime::{Cache, cached, invalidates};

#[derive(Clone, Copy)]
struct User {
    id: u64,
    org: u32,
}

#[cached(key = "pair:<a>:<b>")]
async fn template((a, b): (u32, &str)) -> String {
    format!("{a}{b}")
}

#[cached]
async fn default_key(
    (mut a, _): (u32, f64),
    User { id, org: by, .. }: User,
    &n: &u8,
    [x, ref y @ ..]: [u8; 3],
) -> u64 {
    a += u32::from(n) + u32::from(x) + u32::try_from(y.len()).unwrap();
    id + u64::from(by) + u64::from(a)
}

#[cached]
async fn unnamed(_: f64, id: u64) -> u64 {
    id
}

#[invalidates("pair:<a>:<b>")]
async fn write((a, b): (u32, &str), mut c: String) -> Result<String, ()> {
    c.push_str(b);
    Ok(format!("{a}{c}"))
}

#[tokio::main]
async fn main() {
    let user = User { id: 1, org: 2 };
    Cache::builder()
        .build()
        .await
        .unwrap()
        .scope(async {
            assert_eq!(template((1, "x")).await, "1x");
            assert_eq!(template::key((1, "x:y")).as_str(), "pair:1:x%3Ay");
            assert_eq!(default_key((1, 0.5), user, &1, [0; 3]).await, 7);
            assert_eq!(default_key((2, 0.5), user, &1, [0; 3]).await, 8);
            assert_eq!(default_key((2, 0.7), user, &1, [0; 3]).await, 8);
            assert!(
                default_key::peek((1, 0.1), user, &1, [0; 3])
                    .await
                    .is_some()
            );
            assert_eq!(default_key::refresh((1, 0.1), user, &1, [0; 3]).await, 7);
            assert_eq!(unnamed(0.5, 3).await, 3);
            assert_eq!(unnamed::peek(3).await, Some(3));
            assert_eq!(write((1, "x"), String::new()).await.unwrap(), "1x");
        })
        .await;
}
