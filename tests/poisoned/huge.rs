//! Values that are far too large.

use std::time::{Duration, Instant};

use redis::cmd;
use tests::{DEADLINE, eventually, within};

use crate::world::*;

const MEBIBYTE: usize = 1 << 20;

/// A caller waits for a slow answer at most for the operation's time; the rest is for a machine that has other things to do.
const AT_MOST: Duration = Duration::from_secs(5);

async fn survived(world: &World, name: &str, make: &redis::Cmd) {
    world.poison(name, make.clone()).await;
    for _ in 0..5 {
        let begun = Instant::now();
        let value = within(world.cache.scope(item(&world.database, 1))).await;
        assert_eq!(value, world.database.now(), "{name}");
        let value = within(world.cache.scope(tagged(&world.database, 7, 1))).await;
        assert_eq!(value, world.database.now(), "{name}");
        assert!(begun.elapsed() < AT_MOST, "{name}: {:?}", begun.elapsed());
        // Whether it gets through or is kept, no value from before it is served.
        world.cache.scope(change(&world.database, 7, 1)).await;
    }
    world.run(cmd("DEL").arg(name)).await;
    world.healed(1).await;
    let delivered = || async { world.cache.stats().backend.undelivered_invalidations == 0 };
    eventually(DEADLINE, delivered).await;
}

/// The names of an entry, its state, a tag and the clock, with a value of so many bytes.
async fn of_bytes(bytes: usize) {
    let world = World::patient(Duration::from_millis(50)).await;
    for name in [
        "{cache:item:1}",
        "{cache:item:1}/s",
        "{cache:tagged:1}",
        "{cache/tags}:org:7",
        "{cache/tags}/f",
    ] {
        // Written by the server: an empty string that is made so long.
        let mut make = cmd("SETRANGE");
        make.arg(name).arg(bytes - 1).arg("x");
        survived(&world, name, &make).await;
    }
}

#[tokio::test]
async fn values_of_the_largest_size_cost_misses() {
    of_bytes(64 * MEBIBYTE).await;
}

#[tokio::test]
async fn values_beyond_the_largest_size_cost_misses() {
    of_bytes(100 * MEBIBYTE).await;
}

#[tokio::test]
async fn collections_of_a_million_elements_cost_misses() {
    let world = World::patient(Duration::from_millis(50)).await;
    let script = "local some = {}
        for i = 1, 1000000 do
          some[#some + 1] = 'i:' .. i
          some[#some + 1] = i
          if #some == 2000 then
            redis.call('HSET', KEYS[1], unpack(some))
            some = {}
          end
        end";
    for name in ["{cache:item:1}", "{cache:item:1}/s", "{cache/tags}:org:7"] {
        let mut make = cmd("EVAL");
        make.arg(script).arg(1).arg(name);
        survived(&world, name, &make).await;
    }
}
