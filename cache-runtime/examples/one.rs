use cache_runtime::*;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct User {
    id: u64,
    name: String,
    email: String,
    a: [u64; 4],
    b: [u64; 4],
}
fn user(id: u64) -> User {
    User {
        id,
        name: "Ada Lovelace".into(),
        email: "ada@example.com".into(),
        a: [1; 4],
        b: [2; 4],
    }
}
#[cached(key = "user:<id>", ttl = 300)]
async fn load(id: u64) -> Arc<User> {
    Arc::new(user(id))
}
fn order(n: usize) -> Vec<u64> {
    let mut w: Vec<f64> = (1..=10_000).map(|i| 1.0 / (i as f64).powf(0.99)).collect();
    let s: f64 = w.iter().sum();
    let mut c = 0.0;
    for x in &mut w {
        c += *x / s;
        *x = c;
    }
    let mut r = 88172645463325252u64;
    (0..n)
        .map(|_| {
            r ^= r << 13;
            r ^= r >> 7;
            r ^= r << 17;
            let u = (r >> 11) as f64 / (1u64 << 53) as f64;
            w.partition_point(|&x| x < u) as u64
        })
        .collect()
}
fn time(keys: &[u64], mut f: impl FnMut(&[u64])) -> f64 {
    let mut best = f64::MAX;
    for c in keys.chunks(20_000) {
        let t = Instant::now();
        f(c);
        best = best.min(t.elapsed().as_nanos() as f64 / c.len() as f64);
    }
    best
}
fn main() {
    let keys = order(1_000_000);
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    rt.block_on(async {
        Cache::builder()
            .backend(
                backend::Memory::builder()
                    .max_entries(20_000)
                    .build()
                    .unwrap(),
            )
            .build()
            .await
            .unwrap()
            .install()
            .unwrap();
        for i in 0..10_001 {
            load(i).await;
        }
    });
    println!(
        "ours {:.0}",
        time(&keys, |k| rt.block_on(async {
            for &i in k {
                black_box(load(i).await);
            }
        }))
    );
}
