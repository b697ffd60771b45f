//! Type parameters, const generics, where clauses and bounds.
#![deny(warnings)]

use std::fmt::Display;
use std::marker::PhantomData;

use cache_runtime::{Cache, KeyPart, cached};
use serde::Serialize;
use serde::de::DeserializeOwned;

trait Entity: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    const NAME: &'static str;
    fn make(id: u64) -> Self;
}

impl Entity for String {
    const NAME: &'static str = "string";
    fn make(id: u64) -> Self {
        id.to_string()
    }
}

impl Entity for u64 {
    const NAME: &'static str = "u64";
    fn make(id: u64) -> Self {
        id
    }
}

struct Store<'s>(&'s str);

#[cached(skip(store))]
async fn load<T: Entity>(store: &Store<'_>, id: u64) -> Result<T, String> {
    let _ = (store.0, T::NAME);
    Ok(T::make(id))
}

#[cached(key = "page:<N>:<of>")]
async fn page<K, D: Display, const N: usize>(of: K, shown: D) -> Vec<u8>
where
    K: KeyPart + Copy,
    K: Into<u64>,
    Option<D>: Clone,
    [u8; N]: Sized,
{
    let _ = shown.to_string();
    vec![u8::try_from(of.into()).unwrap(); N]
}

struct Repo<T>(PhantomData<T>);

impl<T: Entity> Repo<T> {
    #[cached(companion = false)]
    async fn make(id: u64) -> T {
        T::make(id)
    }

    #[cached(skip(self))]
    async fn length(&self, id: u64) -> usize {
        T::NAME.len() + usize::try_from(id).unwrap()
    }

    #[cached(companion = false)]
    async fn name_length(id: u64) -> usize {
        T::NAME.len() + usize::try_from(id).unwrap()
    }
}

#[tokio::main]
async fn main() {
    let store = Store("s");
    Cache::builder()
        .build()
        .await
        .unwrap()
        .scope(async {
            assert_eq!(load::<String>(&store, 3).await, Ok("3".to_owned()));
            assert_eq!(load::<u64>(&store, 3).await, Ok(3));
            assert_eq!(load::peek::<u64>(3).await, Some(Ok(3)));
            assert_eq!(load::refresh::<u64>(&store, 3).await, Ok(3));
            assert_ne!(load::key::<u64>(3), load::key::<String>(3));
            load::put::<u64>(3, 4).await.unwrap();
            assert_eq!(load::<u64>(&store, 3).await, Ok(4));
            load::invalidate::<u64>(3).await.unwrap();
            assert_eq!(load::<u64>(&store, 3).await, Ok(3));

            assert_eq!(page::<_, _, 2>(7_u8, "x").await, [7, 7]);
            assert_eq!(page::<_, _, 3>(7_u8, "x").await, [7, 7, 7]);
            assert_eq!(page::key::<u8, 3>(7).as_str(), "page:3:7");
            assert_eq!(page::peek::<u8, 2>(7).await, Some(vec![7, 7]));

            assert_eq!(Repo::<String>::make(1).await, "1");
            assert_eq!(Repo::<u64>::make(1).await, 1);
            assert_eq!(Repo::<String>(PhantomData).length(1).await, 7);
            assert_eq!(Repo::<u64>(PhantomData).length(1).await, 4);
            assert_eq!(Repo::<String>::name_length(1).await, 7);
            assert_eq!(Repo::<u64>::name_length(1).await, 4);
        })
        .await;
}
