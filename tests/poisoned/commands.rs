//! A server that refuses: commands that a user may not run, a script that goes on and on, a copy that takes no writes.

use std::time::Duration;

use redis::{Value, cmd};
use tests::{DEADLINE, eventually, within};

use crate::world::*;

/// Every command that the cache uses for entries and tags.
const COMMANDS: [&str; 18] = [
    "get",
    "mget",
    "set",
    "unlink",
    "hgetall",
    "hlen",
    "hset",
    "hdel",
    "pttl",
    "pexpire",
    "exists",
    "time",
    "eval",
    "evalsha",
    "subscribe",
    "unsubscribe",
    "publish",
    "ping",
];

/// Calls that need no more than to go on: what is stored may be older where no invalidation gets through, but not for this process.
async fn goes_on(world: &World, id: u64) {
    let (cache, database) = (&world.cache, &world.database);
    within(cache.scope(async {
        for _ in 0..3 {
            assert_eq!(item(database, id).await, database.now());
            assert_eq!(tagged(database, 7, id).await, database.now());
            assert_eq!(strict(database, id).await, database.now());
            assert_eq!(many(database, &[id]).await[&id], database.now());
            change(database, 7, id).await;
            write_through(database, id).await.unwrap();
            versioned(database, id).await.unwrap();
            // A write-through tells nobody of the others.
            change(database, 7, id).await;
        }
    }))
    .await;
}

async fn delivered(world: &World) {
    let none = || async { world.cache.stats().backend.undelivered_invalidations == 0 };
    eventually(DEADLINE, none).await;
}

#[tokio::test]
async fn a_command_that_is_refused_costs_misses_until_it_is_allowed() {
    let world = World::new().await;
    world.call_all(1).await;
    for command in COMMANDS {
        println!("without {command}");
        let rights = |right: String| {
            let mut set = cmd("ACL");
            set.arg(&["SETUSER", "default", &right]);
            set
        };
        world.run(&rights(format!("-{command}"))).await;
        goes_on(&world, 10).await;
        world.run(&rights(format!("+{command}"))).await;
        delivered(&world).await;
        world.healed(10).await;
        world.call_all(10).await;
    }
}

#[tokio::test]
async fn a_script_that_does_not_end_costs_misses_until_it_is_stopped() {
    let world = World::patient(Duration::from_millis(50)).await;
    world
        .run(cmd("CONFIG").arg(&["SET", "lua-time-limit", "1"]))
        .await;
    let mut endless = world.server.connection().await;
    let script = tokio::spawn(async move {
        let mut eval = cmd("EVAL");
        eval.arg("while true do end").arg(0);
        let _: Result<Value, _> = eval.query_async(&mut endless).await;
    });
    // The server says that it is busy.
    let mut other = world.server.connection().await;
    eventually(DEADLINE, || {
        let mut other = other.clone();
        async move {
            let said: Result<Value, _> = cmd("GET").arg("x").query_async(&mut other).await;
            said.is_err_and(|error| error.code() == Some("BUSY"))
        }
    })
    .await;
    goes_on(&world, 10).await;
    let () = cmd("SCRIPT")
        .arg("KILL")
        .query_async(&mut other)
        .await
        .unwrap();
    within(script).await.unwrap();
    delivered(&world).await;
    world.healed(10).await;
}

#[tokio::test]
async fn a_copy_that_takes_no_writes_costs_misses_until_it_is_the_master() {
    let world = World::new().await;
    world.call_all(1).await;
    world.run(cmd("REPLICAOF").arg("127.0.0.1").arg("1")).await;
    goes_on(&world, 1).await;
    world.run(cmd("REPLICAOF").arg("NO").arg("ONE")).await;
    delivered(&world).await;
    world.healed(1).await;
    world.call_all(1).await;
}

#[tokio::test]
async fn a_server_without_memory_costs_misses_until_it_has_some() {
    let world = World::new().await;
    world.call_all(1).await;
    world
        .run(cmd("CONFIG").arg(&["SET", "maxmemory", "1"]))
        .await;
    goes_on(&world, 1).await;
    world
        .run(cmd("CONFIG").arg(&["SET", "maxmemory", "0"]))
        .await;
    delivered(&world).await;
    world.healed(1).await;
    world.call_all(1).await;
}

#[tokio::test]
async fn scripts_that_are_forgotten_again_and_again_cost_nothing() {
    let world = World::new().await;
    for id in 0..20 {
        let () = world.server.query(cmd("SCRIPT").arg("FLUSH")).await;
        let forget = async {
            for _ in 0..20 {
                let () = world.server.query(cmd("SCRIPT").arg("FLUSH")).await;
            }
        };
        tokio::join!(forget, world.call_all(id * 10));
        world.write_behind(id).await;
    }
    let stats = world.cache.stats();
    assert!(
        stats.functions.iter().all(|function| function.errors == 0),
        "{stats:?}"
    );
}
