//! A writer with `self`, and one that says `Self`.

use cache_runtime::{Error, cached};

struct Repo;

impl Repo {
    #[cached(pattern = "write-behind", key = "n:<id>", value = none)]
    async fn save(&self, id: u64) -> Result<(), Error> {
        let _ = id;
        Ok(())
    }

    #[cached(pattern = "write-behind", key = "n:<id>", value = none)]
    async fn other(id: u64) -> Result<(), Error> {
        let _ = (id, Self);
        Ok(())
    }
}

fn main() {}
