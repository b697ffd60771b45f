//! Implementations of a trait, and its default methods.
#![deny(warnings)]

use cache_runtime::{Cache, cached, invalidates};

trait Loader {
    fn name(&self) -> String;

    async fn load(&self, id: u64) -> String;

    #[cached(skip(self))]
    async fn load_default(&self, id: u64) -> String {
        format!("{} {id}", self.name())
    }

    async fn save(&self, id: u64) -> Result<(), String>;
}

struct A;
struct B;

impl Loader for A {
    fn name(&self) -> String {
        "A".to_owned()
    }

    #[cached(skip(self))]
    async fn load(&self, id: u64) -> String {
        format!("A {id}")
    }

    #[invalidates("a:<id>", when = "ok")]
    async fn save(&self, id: u64) -> Result<(), String> {
        let _ = id;
        Ok(())
    }
}

impl Loader for B {
    fn name(&self) -> String {
        "B".to_owned()
    }

    #[cached(skip(self))]
    async fn load(&self, id: u64) -> String {
        format!("B {id}")
    }

    #[invalidates("b:<id>", consistency = "eventual")]
    async fn save(&self, id: u64) -> Result<(), String> {
        let _ = id;
        Ok(())
    }
}

#[tokio::main]
async fn main() {
    Cache::builder()
        .build()
        .await
        .unwrap()
        .scope(async {
            // Methods of one name and equal arguments never share an entry.
            assert_eq!(A.load(1).await, "A 1");
            assert_eq!(B.load(1).await, "B 1");
            assert_eq!(A.load_default(1).await, "A 1");
            assert_eq!(B.load_default(1).await, "B 1");
            assert_eq!(A.save(1).await, Ok(()));
            assert_eq!(B.save(1).await, Ok(()));
        })
        .await;
}
