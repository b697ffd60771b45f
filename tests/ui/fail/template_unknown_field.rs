//! A placeholder that names a field that is not there.

use cache_runtime::cached;

struct Query {
    tenant: u64,
}

#[cached(key = "q:<query.tenat>")]
async fn search(query: &Query) -> u64 {
    query.tenant
}

fn main() {}
