//! An error that cannot be made from the cache's.

use cache_runtime::cached;

struct Mine;

impl std::fmt::Display for Mine {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

#[cached(pattern = "write-behind", key = "n:<id>", value = none)]
async fn save(id: u64) -> Result<(), Mine> {
    let _ = id;
    Ok(())
}

fn main() {}
