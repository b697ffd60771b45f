//! How `jitter` spreads what would expire together.

use std::time::Duration;

use cache_runtime::{Cache, ManualClock, cached};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use redis::cmd;
use tests::{RedisServer, redis_builder};

const MOMENT: Duration = Duration::from_nanos(1);

async fn moved(seed: u64) -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let builder = Cache::builder()
        .url("memory://?max_entries=1000")
        .unwrap()
        .clock(&clock)
        .seed(seed);
    (builder.build().await.unwrap(), clock)
}

fn itself(nanos: &u64) -> Option<Duration> {
    Some(Duration::from_nanos(*nanos))
}

/// Functions whose values are their own TTLs, and which share they may be shorter by.
macro_rules! functions {
    ($($name:ident $percent:literal $share:literal;)*) => {
        $(
            #[cached(key = "jittered", ttl_with = itself, jitter = $percent)]
            async fn $name(ttl: u64) -> u64 {
                ttl
            }
        )*

        /// One of them is called at the moved clock's beginning; whether there is a value just before its least TTL, and at its TTL.
        async fn before_and_after(which: usize, ttl: u64, seed: u64) -> (bool, bool) {
            let (cache, clock) = moved(seed).await;
            let shares = [$($share),*];
            let whole = Duration::from_nanos(ttl);
            // A product of a long time is rounded.
            let least = whole.mul_f64(1.0 - shares[which]).min(whole);
            cache.scope(async {
                match shares[which] {
                    $(share if share == $share => { $name(ttl).await; })*
                    _ => unreachable!("one of the functions"),
                }
                clock.advance(least - MOMENT);
                let before = none::peek().await.is_some();
                clock.advance(whole - least + MOMENT);
                (before, none::peek().await.is_some())
            }).await
        }
    };
}

functions! {
    none "0%" 0.0;
    little "2.5%" 0.025;
    tenth "10%" 0.1;
    half "50%" 0.5;
    nearly_all "99%" 0.99;
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_ttl_is_never_longer_and_shorter_by_its_share_at_most(
        which in 0..5_usize,
        // To ten years, about as many small as large ones.
        ttl in (1..=315_360_000_000_000_000_u64, 0..45_u32).prop_map(|(ttl, by)| (ttl >> by).max(1000)),
        seed: u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (before, after) = runtime.block_on(before_and_after(which, ttl, seed));
        prop_assert!(before, "expired too early");
        prop_assert!(!after, "lived longer than its TTL");
    }
}

const KEYS: usize = 400;

#[cached(
    key = "spread:<id>",
    ttl = "1000s",
    negative_ttl = "1000s",
    jitter = "50%"
)]
async fn spread(id: usize) -> Option<usize> {
    // Values and absences alike.
    id.is_multiple_of(2).then_some(id)
}

/// Into which tenth of the time from 500 to 1000 seconds the end of each entry falls.
async fn tenths(seed: u64) -> Vec<usize> {
    let (cache, clock) = moved(seed).await;
    cache
        .scope(async {
            for id in 0..KEYS {
                spread(id).await;
            }
            clock.advance(Duration::from_secs(500) - MOMENT);
            let mut ends = vec![0; KEYS];
            for tenth in 0..10 {
                for (id, end) in ends.iter_mut().enumerate() {
                    if spread::peek(id).await.is_some() {
                        *end = tenth;
                    }
                }
                clock.advance(Duration::from_secs(50));
            }
            ends
        })
        .await
}

/// Each tenth has its part of the entries, within what chance does.
fn assert_even(tenths: &[usize]) {
    for tenth in 0..10 {
        let count = tenths.iter().filter(|&&of| of == tenth).count();
        assert!(
            (KEYS / 20..=KEYS / 5).contains(&count),
            "{count} of {KEYS} end in tenth {tenth}"
        );
    }
}

#[tokio::test]
async fn ends_are_spread_over_the_whole_share() {
    assert_even(&tenths(1).await);
}

#[tokio::test]
async fn one_seed_always_gives_the_same_ends() {
    let (one, again, other) = (tenths(1).await, tenths(1).await, tenths(2).await);
    assert_eq!(one, again);
    assert_ne!(one, other);
}

#[tokio::test]
async fn redis_is_told_ends_that_are_spread() {
    #[cached(key = "spread:<id>", ttl = "1000m", jitter = "50%")]
    async fn slow(id: usize) -> usize {
        id
    }
    let server = RedisServer::start().await;
    let cache = redis_builder(&server).seed(1).build().await.unwrap();
    cache
        .scope(async {
            for id in 0..KEYS {
                slow(id).await;
            }
        })
        .await;
    let mut tenths = Vec::new();
    let mut connection = server.connection().await;
    for id in 0..KEYS {
        let left: i64 = cmd("PTTL")
            .arg(format!("{{cache:spread:{id}}}"))
            .query_async(&mut connection)
            .await
            .unwrap();
        let left = Duration::from_millis(u64::try_from(left).expect("it is kept"));
        let minute = Duration::from_secs(60);
        assert!(left <= 1000 * minute, "{left:?}");
        // The test itself may have taken a minute.
        let past_least = (left + minute).checked_sub(500 * minute);
        let past_least = past_least.unwrap_or_else(|| panic!("{left:?}"));
        tenths.push((past_least.as_secs() as usize / 3000).min(9));
    }
    assert_even(&tenths);
}
