//! A pattern that borrows from an argument.

use cache_runtime::cached;

struct Query {
    id: u64,
}

#[cached(key = "user:<id>", stampede = "swr", refresh_after = "1m")]
async fn load_user(Query { id }: &Query) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
