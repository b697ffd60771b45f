use cache_runtime::*;
#[cached(key = "fib:<n>")]
async fn fib(n: u64) -> u64 {
    sp();
    if n < 2 { n } else { Box::pin(fib(n - 1)).await }
}
#[cached(key = "plain:<n>")]
async fn dummy(n: u64) -> u64 {
    n
}
async fn plain(n: u64) -> u64 {
    sp();
    if n < 2 {
        n
    } else {
        Box::pin(plain(n - 1)).await
    }
}
fn main() {
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    rt.block_on(async {
        Box::pin(plain(4)).await;
        fib(10).await;
        dummy(1).await;
    });
}
#[inline(never)]
fn sp() {
    let x = 0u8;
    println!("{:p}", std::hint::black_box(&x));
}
