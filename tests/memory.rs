//! The in-memory backend: bounded, exact, nothing encoded, and no lock held while a value is dropped.

use std::cell::Cell;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Waker};
use std::time::Duration;

use cache_runtime::backend::{Backend, Life, Memory, Stored, Typed};
use cache_runtime::{Cache, Key, ManualClock, cached};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tests::{DEADLINE, in_memory};

#[path = "memory/log.rs"]
mod log;

const TTL: Duration = Duration::from_secs(60);

fn typed(text: &str) -> Stored {
    let life = Life::new(Duration::from_secs(600));
    Stored::Typed(Typed::new(Arc::new(text.to_owned()), life))
}

#[cached(key = "page:<id>", ttl = 60)]
async fn page(id: usize) -> String {
    // Some are short, some are long.
    "x".repeat(id % 97 * 10)
}

/// The pages that are still there.
async fn kept(of: usize) -> Vec<String> {
    let mut kept = Vec::new();
    for id in 0..of {
        kept.extend(page::peek(id).await);
    }
    kept
}

mod bounds {
    use super::*;

    #[tokio::test]
    async fn under_ten_times_its_load_a_cache_keeps_no_more_entries_than_its_bound() {
        // The last does not fall into even parts.
        for bound in [1, 10, 1000, 5000, 5001] {
            let memory = Memory::builder().max_entries(bound).build().unwrap();
            let cache = Cache::builder().backend(memory).build().await.unwrap();
            let kept = cache
                .scope(async {
                    for id in 0..10 * bound {
                        page(id).await;
                    }
                    kept(10 * bound).await.len()
                })
                .await;
            assert!(kept <= bound, "{kept} of {bound}");
            assert!(kept >= bound / 2, "{kept} of {bound}: the room is used");
        }
    }

    #[tokio::test]
    async fn under_ten_times_its_load_a_cache_keeps_no_more_weight_than_its_bound() {
        const BOUND: u64 = 100_000;
        let weigh = |key: &str, value: &(dyn std::any::Any + Send + Sync)| {
            assert!(key.starts_with("page:"));
            1 + value.downcast_ref::<String>().expect("a page").len() as u64
        };
        let memory = Memory::builder()
            .max_weight(BOUND)
            .weigher(weigh)
            .build()
            .unwrap();
        let cache = Cache::builder().backend(memory).build().await.unwrap();
        let kept = cache
            .scope(async {
                let mut load = 0;
                let mut pages = 0;
                while load < 10 * BOUND {
                    load += 1 + page(pages).await.len() as u64;
                    pages += 1;
                }
                kept(pages).await
            })
            .await;
        let weight: u64 = kept.iter().map(|page| 1 + page.len() as u64).sum();
        assert!(weight <= BOUND, "{weight}");
        assert!(weight >= BOUND / 2, "{weight}: the room is used");
    }

    #[tokio::test]
    async fn a_backend_says_how_much_it_holds() {
        let memory = Memory::builder().max_weight(50_000).build().unwrap();
        for n in 0..5000 {
            memory
                .put(&Key::from(format!("k{n}")), typed("text"), TTL)
                .await
                .unwrap();
            assert!(memory.weight() <= 50_000);
        }
        // Without a weigher an entry weighs its key, its type's own size and an overhead.
        let entry = 5 + size_of::<String>() as u64;
        assert!(
            memory.len() > 100 && memory.weight() > memory.len() as u64 * entry,
            "{memory:?}"
        );
        memory.clear().await.unwrap();
        assert!(memory.is_empty() && memory.weight() == 0);
    }

    #[tokio::test]
    async fn a_value_heavier_than_the_bound_is_handed_out_and_not_kept() {
        let weigh = |_: &str, value: &(dyn std::any::Any + Send + Sync)| {
            value.downcast_ref::<String>().map_or(0, String::len) as u64
        };
        let memory = Memory::builder()
            .max_weight(500)
            .weigher(weigh)
            .build()
            .unwrap();
        let cache = Cache::builder().backend(memory).build().await.unwrap();
        cache
            .scope(async {
                assert_eq!(page(1).await.len(), 10);
                assert_eq!(page(60).await.len(), 600);
                assert_eq!(page::peek(60).await, None);
                assert!(page::peek(1).await.is_some(), "and throws nobody out");
            })
            .await;
    }

    #[tokio::test]
    async fn a_weight_of_nothing_or_of_everything_does_not_break_the_bound() {
        for weight in [0, u64::MAX] {
            let memory = Memory::builder()
                .max_weight(10)
                .weigher(move |_, _| weight)
                .build()
                .unwrap();
            for n in 0..100 {
                memory
                    .put(&Key::from(format!("k{n}")), typed("text"), TTL)
                    .await
                    .unwrap();
            }
            assert!(memory.len() <= 10, "{weight}: {}", memory.len());
        }
    }

    #[tokio::test]
    async fn replacing_an_entry_does_not_add_to_the_weight() {
        let memory = Memory::builder().max_entries(10).build().unwrap();
        for n in 0..100 {
            memory
                .put(&Key::from("k"), typed(&n.to_string()), TTL)
                .await
                .unwrap();
        }
        assert_eq!((memory.len(), memory.weight()), (1, 1));
    }

    #[tokio::test]
    async fn a_bound_of_zero_is_refused() {
        for builder in [
            Memory::builder().max_entries(0),
            Memory::builder().max_weight(0),
        ] {
            assert!(builder.build().unwrap_err().to_string().contains("bound"));
        }
    }
}

mod expiry {
    use super::*;

    #[tokio::test]
    async fn an_expired_entry_is_removed_when_it_is_read() {
        let clock = ManualClock::new();
        let memory = Memory::builder().clock(&clock).build().unwrap();
        let key = Key::from("k");
        memory.put(&key, typed("text"), TTL).await.unwrap();
        clock.advance(TTL - Duration::from_nanos(1));
        assert!(memory.get(&key).await.unwrap().is_some());
        clock.advance(Duration::from_nanos(1));
        assert_eq!(memory.len(), 1);
        assert!(memory.get(&key).await.unwrap().is_none());
        assert_eq!(memory.len(), 0);
    }

    #[tokio::test]
    async fn a_ttl_too_long_for_the_clock_is_for_ever() {
        let clock = ManualClock::new();
        let memory = Memory::builder().clock(&clock).build().unwrap();
        let key = Key::from("k");
        clock.advance(TTL);
        memory
            .put(&key, typed("text"), Duration::MAX)
            .await
            .unwrap();
        clock.advance(Duration::from_secs(100 * 365 * 24 * 60 * 60));
        assert!(memory.get(&key).await.unwrap().is_some());
    }
}

mod typed_values {
    use super::*;

    /// Nobody can write or read it.
    #[derive(Debug, Clone, PartialEq)]
    struct Sealed(u64);

    impl Serialize for Sealed {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("encoded in memory")
        }
    }

    impl<'de> Deserialize<'de> for Sealed {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("decoded in memory")
        }
    }

    #[tokio::test]
    async fn nothing_is_encoded_or_decoded() {
        #[cached(key = "sealed")]
        async fn sealed() -> Result<Option<Sealed>, String> {
            Ok(Some(Sealed(7)))
        }
        let cache = in_memory().await;
        cache
            .scope(async {
                assert_eq!(sealed().await, sealed().await);
                sealed::put(Sealed(8)).await.unwrap();
                assert_eq!(sealed::peek().await, Some(Ok(Some(Sealed(8)))));
                assert_eq!(sealed::refresh().await, Ok(Some(Sealed(7))));
            })
            .await;
        assert_eq!(cache.stats().function(sealed::SPEC).hits, 1);
    }
}

mod drops {
    use super::*;

    static CACHE: OnceLock<Cache> = OnceLock::new();
    static DROPPED: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }

    /// On its way out it reads its own entry, and loads, writes and invalidates others.
    #[derive(Debug, Serialize, Deserialize)]
    struct CallsBack {
        id: u64,
    }

    impl Drop for CallsBack {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, SeqCst);
            // What it does drops others, which would do the same without end.
            if DEPTH.get() > 0 {
                return;
            }
            DEPTH.set(1);
            let id = self.id;
            now(async move {
                let cache = CACHE.get().expect("set first").clone();
                cache
                    .scope(async {
                        calls_back::peek(id).await;
                        // In whatever shard its own key is, some of these are there too.
                        for other in 1_000_000..1_000_200 {
                            calls_back::peek(other).await;
                            calls_back(other).await;
                            calls_back::put(other, Arc::new(CallsBack { id: other }))
                                .await
                                .unwrap();
                            cache
                                .invalidate_all([calls_back::key(other)])
                                .await
                                .unwrap();
                        }
                    })
                    .await;
            });
            DEPTH.set(0);
        }
    }

    /// In memory nothing has to wait.
    fn now(work: impl Future<Output = ()>) {
        assert!(
            pin!(work)
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
    }

    #[cached(key = "calls-back:<id>", ttl = 60)]
    async fn calls_back(id: u64) -> Arc<CallsBack> {
        Arc::new(CallsBack { id })
    }

    /// One test, as the cache that is called back is one. On a thread, as a deadlock would hang the test itself.
    #[test]
    fn a_value_may_use_the_cache_while_it_is_dropped() {
        let (done, finished) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(values_that_call_back(&|step| done.send(step).unwrap()));
        });
        let mut last = "begin";
        while last != "done" {
            last = finished
                .recv_timeout(DEADLINE)
                .unwrap_or_else(|_| panic!("stuck after `{last}`"));
        }
    }

    async fn values_that_call_back(step: &impl Fn(&'static str)) {
        let clock = ManualClock::new();
        let memory = Memory::builder()
            .max_entries(8)
            .clock(&clock)
            .build()
            .unwrap();
        let cache = CACHE.get_or_init(|| {
            let built = Cache::builder().backend(memory).clock(&clock).build();
            let mut built = pin!(built);
            match built.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                std::task::Poll::Ready(cache) => cache.unwrap(),
                std::task::Poll::Pending => unreachable!("in memory nothing has to wait"),
            }
        });
        let dropped = || DROPPED.swap(0, SeqCst);
        cache
            .scope(async {
                calls_back(1).await;
                calls_back::put(1, Arc::new(CallsBack { id: 1 }))
                    .await
                    .unwrap();
                assert!(dropped() > 0);
                step("replaced");
                calls_back::invalidate(1).await.unwrap();
                assert!(dropped() > 0);
                step("invalidated");
                for id in 0..50 {
                    calls_back(id).await;
                }
                assert!(dropped() > 0);
                step("evicted");
                calls_back(1).await;
                clock.advance(Duration::from_secs(60));
                assert!(calls_back::peek(1).await.is_none());
                assert!(dropped() > 0);
                step("expired");
                calls_back(1).await;
                calls_back::refresh(1).await;
                assert!(dropped() > 0);
                step("refreshed");
                calls_back(1).await;
                cache.clear().await.unwrap();
                assert!(dropped() > 0);
                step("cleared");
            })
            .await;
        step("done");
    }
}
