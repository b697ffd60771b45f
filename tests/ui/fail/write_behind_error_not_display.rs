//! An error without a text.

use cache_runtime::cached;

struct Mine;

impl From<cache_runtime::Error> for Mine {
    fn from(_: cache_runtime::Error) -> Self {
        Self
    }
}

#[cached(pattern = "write-behind", key = "n:<id>", value = none)]
async fn save(id: u64) -> Result<(), Mine> {
    let _ = id;
    Ok(())
}

fn main() {}
