//! A receiver that cannot be copied for a load in the background.

use cache_runtime::{Error, cached};

struct Repo {
    name: String,
}

impl Repo {
    #[cached(key = "user:<id>", timeout = "1s")]
    async fn load_user(&self, id: u64) -> Result<String, Error> {
        Ok(format!("{} {id}", self.name))
    }
}

fn main() {}
