//! A batch loader whose list is its receiver.

use cache_runtime::cached;

struct Users(Vec<u64>);

impl Users {
    #[cached(key = "users:<self.0[]>")]
    async fn load(&self) -> Vec<Option<String>> {
        self.0.iter().map(|id| Some(id.to_string())).collect()
    }
}

fn main() {}
