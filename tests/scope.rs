//! Which cache a call uses, and that tests side by side in one process stay apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::backend::Memory;
use cache_runtime::testing::{Fault, Faulty};
use cache_runtime::{Cache, ManualClock, cached, carry, invalidates};
use tests::{Gate, RedisServer, in_memory, redis_builder, within};

/// Every load gives another answer.
static LOADS: AtomicU64 = AtomicU64::new(0);

#[cached(key = "number:<id>", ttl = 60)]
async fn number(id: u64) -> u64 {
    let _ = id;
    LOADS.fetch_add(1, SeqCst)
}

#[cached(key = "owned-by:<id>")]
async fn owner(name: &str, id: u64) -> String {
    let _ = id;
    tokio::task::yield_now().await;
    name.to_owned()
}

#[invalidates("owned-by:<id>")]
async fn disown(id: u64) {
    let _ = id;
}

/// Loads, hits, writes and loads under keys that all the others use too, and sees nothing but its own.
async fn lives_alone(cache: Cache, name: String) {
    cache
        .scope(async {
            for round in 0..20 {
                for id in 0..5 {
                    assert_eq!(owner(&name, id).await, name, "round {round}, key {id}");
                    tokio::task::yield_now().await;
                    assert_eq!(
                        owner::peek(id).await,
                        Some(name.clone()),
                        "round {round}, key {id}"
                    );
                }
                disown(round % 5).await;
            }
        })
        .await;
    let stats = cache.stats().function(owner::SPEC);
    // The last round's write is not read again.
    assert_eq!((stats.loads, stats.hits), (5 + 19, 100 - 24), "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_scopes_at_once_never_see_each_others_entries() {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let cache = in_memory().await;
        tasks.spawn(within(lives_alone(cache, format!("scope {n}"))));
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn scopes_that_take_turns_on_one_task_never_see_each_others_entries() {
    let (one, two) = (in_memory().await, in_memory().await);
    tokio::join!(
        lives_alone(one, "one".into()),
        lives_alone(two, "two".into())
    );
}

#[tokio::test]
async fn scopes_of_namespaces_on_one_server_never_see_each_others_entries() {
    let server = RedisServer::start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let cache = redis_builder(&server)
            .namespace(format!("test-{n}"))
            .build()
            .await
            .unwrap();
        tasks.spawn(within(lives_alone(cache, format!("scope {n}"))));
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn without_a_scope_and_with_nothing_installed_functions_are_cached_in_memory() {
    let first = number(101).await;
    assert_eq!(number(101).await, first);
    assert_eq!(tokio::spawn(number(101)).await.unwrap(), first);
    assert!(Cache::current().stats().function(number::SPEC).hits >= 2);
    assert_eq!(Cache::current().stats().backend.name, "memory");
}

#[tokio::test]
async fn the_scope_ends_with_its_work() {
    let cache = in_memory().await;
    let inside = cache.scope(number(102)).await;
    assert_ne!(number(102).await, inside);
    assert_eq!(cache.scope(number(102)).await, inside);
}

#[tokio::test]
async fn a_scope_inside_another_holds_until_it_ends() {
    let (outer, inner) = (in_memory().await, in_memory().await);
    outer
        .scope(async {
            let first = number(1).await;
            let second = inner.scope(number(1)).await;
            assert_ne!(first, second);
            assert_eq!(number(1).await, first);
            assert_eq!(inner.scope(number(1)).await, second);
        })
        .await;
}

#[tokio::test]
async fn current_is_the_cache_of_the_scope() {
    let cache = in_memory().await;
    cache
        .scope(async {
            number(1).await;
            Cache::current().invalidate(number::key(1)).await.unwrap();
            assert_eq!(number::peek(1).await, None);
        })
        .await;
}

#[tokio::test]
async fn a_spawned_task_is_not_in_the_scope() {
    let cache = in_memory().await;
    cache
        .scope(async {
            let inside = number(103).await;
            let spawned = tokio::spawn(number(103)).await.unwrap();
            assert_ne!(spawned, inside);
            assert_eq!(
                tokio::spawn(number(103)).await.unwrap(),
                spawned,
                "it has the cache of the process"
            );
        })
        .await;
}

#[tokio::test]
async fn carry_takes_the_scope_along_to_a_spawned_task() {
    let cache = in_memory().await;
    cache
        .scope(async {
            let inside = number(1).await;
            assert_eq!(tokio::spawn(carry(number(1))).await.unwrap(), inside);
            let deeper = tokio::spawn(carry(async {
                tokio::spawn(carry(number(1))).await.unwrap()
            }));
            assert_eq!(deeper.await.unwrap(), inside);
        })
        .await;
}

#[tokio::test]
async fn what_is_carried_is_what_held_where_carry_was_called() {
    let (one, two) = (in_memory().await, in_memory().await);
    let in_one = one.scope(number(1)).await;
    let in_two = two.scope(number(1)).await;
    let mut carried = None;
    one.scope(async { carried = Some(carry(async { number(1).await })) })
        .await;
    assert_eq!(two.scope(carried.unwrap()).await, in_one);
    let outside = carry(async { number(104).await });
    let in_process = number(104).await;
    assert_eq!(two.scope(outside).await, in_process);
    assert_ne!(in_one, in_two);
}

#[tokio::test]
async fn a_refresh_is_for_one_call_and_is_not_carried_along() {
    #[cached(key = "outer")]
    async fn outer(gate: Gate) -> u64 {
        let inner = tokio::spawn(carry(number(1)));
        let again = number(1).await;
        assert_eq!(inner.await.unwrap(), again);
        gate.pass().await;
        again
    }
    let (cache, gate) = (in_memory().await, Gate::new());
    gate.open();
    cache
        .scope(async {
            let first = outer(gate.clone()).await;
            assert_eq!(outer::refresh(gate.clone()).await, first);
            assert_eq!(gate.count(), 2);
        })
        .await;
}

#[tokio::test]
async fn a_scope_holds_for_calls_made_after_a_panic_in_it() {
    let cache = in_memory().await;
    let task = tokio::spawn({
        let cache = cache.clone();
        async move { cache.scope(async { panic!("as told") }).await }
    });
    let () = task
        .await
        .unwrap_err()
        .into_panic()
        .downcast_ref::<&str>()
        .map(drop)
        .unwrap();
    let first = cache.scope(number(1)).await;
    assert_eq!(cache.scope(number(1)).await, first);
}

#[tokio::test]
async fn a_manual_clock_moves_its_own_cache_only() {
    let clock = ManualClock::new();
    let moved = Cache::builder().clock(&clock).build().await.unwrap();
    let other_clock = ManualClock::new();
    let still = Cache::builder().clock(&other_clock).build().await.unwrap();
    let (in_moved, in_still) = (moved.scope(number(1)).await, still.scope(number(1)).await);
    clock.advance(Duration::from_secs(60));
    assert_eq!(clock.elapsed(), Duration::from_secs(60));
    assert_ne!(moved.scope(number(1)).await, in_moved);
    assert_eq!(still.scope(number(1)).await, in_still);
}

#[tokio::test]
async fn a_backend_given_to_the_builder_keeps_its_own_clock() {
    let (of_cache, of_backend) = (ManualClock::new(), ManualClock::new());
    let backend = Memory::builder().clock(&of_backend).build().unwrap();
    let cache = Cache::builder()
        .clock(&of_cache)
        .backend(backend)
        .build()
        .await
        .unwrap();
    let first = cache.scope(number(1)).await;
    of_cache.advance(Duration::from_secs(61));
    assert_eq!(cache.scope(number(1)).await, first);
    of_backend.advance(Duration::from_secs(61));
    assert_ne!(cache.scope(number(1)).await, first);
}

#[tokio::test]
async fn a_fault_is_met_by_its_own_cache_only() {
    let (backend, faults) = Faulty::new(Memory::new());
    let faulty = Cache::builder()
        .backend(backend)
        .operation_timeout(Duration::from_millis(5))
        .build()
        .await
        .unwrap();
    let sound = in_memory().await;
    let (in_faulty, in_sound) = (faulty.scope(number(1)).await, sound.scope(number(1)).await);
    for fault in [Fault::Down, Fault::Hung, Fault::Refusing] {
        faults.set(fault);
        assert_ne!(
            within(faulty.scope(number(1))).await,
            in_faulty,
            "{fault}: the loader answers"
        );
        assert_eq!(sound.scope(number(1)).await, in_sound, "{fault}");
        faults.heal();
        let cached = || async { faulty.scope(number::peek(1)).await == Some(in_faulty) };
        tests::eventually(tests::DEADLINE, cached).await;
        assert_eq!(faulty.scope(number(1)).await, in_faulty, "{fault}: healed");
    }
}

#[tokio::test]
async fn a_slow_backend_that_keeps_to_its_time_is_used() {
    let (backend, faults) = Faulty::new(Memory::new());
    let cache = Cache::builder()
        .backend(backend)
        .operation_timeout(tests::PATIENCE)
        .build()
        .await
        .unwrap();
    faults.set(Fault::Slow(Duration::from_millis(2)));
    let first = cache.scope(number(1)).await;
    assert_eq!(cache.scope(number(1)).await, first);
}

#[tokio::test]
async fn clones_of_a_handle_are_one_cache() {
    let cache = in_memory().await;
    let clone = cache.clone();
    let first = cache.scope(number(1)).await;
    assert_eq!(clone.scope(number(1)).await, first);
    assert_eq!(cache.stats().function(number::SPEC).hits, 1);
    let shared = Arc::new(cache);
    drop(clone);
    assert_eq!(shared.scope(number(1)).await, first);
}
