//! A borrow inside of an argument's type.

use cache_runtime::cached;

struct Query<'q>(&'q str);

#[cached(key = "user:<id>", stampede = "swr", refresh_after = "1m")]
async fn load_user(
    id: u64,
    name: Option<&str>,
    names: &[&str],
    query: &Query<'_>,
) -> Option<String> {
    let _ = (name, names, query.0);
    Some(id.to_string())
}

fn main() {}
