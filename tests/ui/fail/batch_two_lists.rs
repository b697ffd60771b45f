//! A batch loader walks over one list.

use cache_runtime::cached;

#[cached(key = "users:<ids[]>:<orgs[]>")]
async fn load_users(ids: &[u64], orgs: &[u64]) -> Vec<Option<String>> {
    ids.iter()
        .zip(orgs)
        .map(|(id, org)| Some(format!("{id} {org}")))
        .collect()
}

fn main() {}
