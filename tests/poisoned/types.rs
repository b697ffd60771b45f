//! Other types under every name that the cache uses.

use redis::{Value, cmd};

use crate::world::*;

/// What somebody else may have put there: each other type, and texts that are none of ours.
const GARBAGE: [&[&str]; 11] = [
    &["RPUSH", "a", "b"],
    &["SADD", "a"],
    &["ZADD", "1", "a", "inf", "b"],
    &[
        "HSET", "a", "b", "l", "x", "i:x", "y", "g", "?", "f", "z", "n", "x", "q", "x", "s", "y",
    ],
    &["XADD", "*", "a", "b"],
    &["SET", ""],
    &["SET", "garbage"],
    &["SET", "0123456789abcdef0123456789abcdef"],
    &["SET", "n99999999999999999999999999 99999999999999999999 x"],
    &["SET", "CRT\x02"],
    &["SETBIT", "4000", "1"],
];

fn entry_names(id: u64) -> Vec<String> {
    let keys = ["item", "tagged", "many", "behind"].map(|key| format!("{{cache:{key}:{id}}}"));
    keys.iter()
        .flat_map(|key| [key.clone(), format!("{key}/s")])
        .collect()
}

/// Puts the garbage under each of the names, alone and then under all at once, and has every sort of call made.
async fn poison(world: &World, names: &[String]) {
    let (mut id, mut failed) = (10, Vec::new());
    for garbage in GARBAGE {
        for name in names {
            let name = name.replace("<id>", &id.to_string());
            world.poison(&name, command(garbage, &name)).await;
            println!("{garbage:?} under {name}");
            world.call_all(id).await;
            world.healed(id).await;
            id += 10;
            if world.cache.stats().backend.undelivered_invalidations > 0 {
                failed.push(name);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

fn with_id(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn another_type_under_an_entry_or_its_state_is_a_miss_and_is_overwritten() {
    let world = World::new().await;
    let names = entry_names(0);
    let names: Vec<_> = names
        .iter()
        .map(|name| name.replace(":0}", ":<id>}"))
        .collect();
    poison(&world, &names).await;
}

#[tokio::test]
async fn another_type_under_the_versions_of_tags_is_a_miss_and_is_overwritten() {
    let world = World::new().await;
    poison(&world, &with_id(&["{cache/tags}/f", "{cache/tags}:org:7"])).await;
}

#[tokio::test]
async fn another_type_under_the_names_of_the_log_loses_no_later_write() {
    let world = World::new().await;
    world.write_behind(1).await;
    let names = ["/seq", "/count", "/members", "/terms", "/dead", "/d"];
    let mut names: Vec<_> = names.map(|name| format!("{{cache/log}}{name}")).into();
    for partition in 0..16 {
        let stream = format!("{{cache/log}}:{partition}");
        names.extend([format!("{stream}/o"), format!("{stream}/b"), stream]);
    }
    for garbage in GARBAGE {
        for name in &names {
            world.poison(name, command(garbage, name)).await;
        }
        println!("{garbage:?}");
        for id in 0..8 {
            world.write_behind(id).await;
        }
        world.call_all(1).await;
    }
}

#[tokio::test]
async fn another_type_under_the_names_of_the_bus_keeps_no_event_from_other_regions() {
    let world = World::new().await;
    let elsewhere = World::on_bus_of(&world).await;
    world.call_all(1).await;
    for garbage in GARBAGE {
        let senders: Vec<String> = world.server.query(cmd("KEYS").arg("{cache/bus}/p:*")).await;
        let names = ["", "/flush", "/heard", "/removed", "/trim"];
        let names = names.iter().map(|name| format!("{{cache/bus}}{name}"));
        for name in names.chain(senders) {
            world.poison(&name, command(garbage, &name)).await;
            println!("{garbage:?} under {name}");
            world.call_all(1).await;
            elsewhere.hears_of(&world).await;
        }
    }
}

#[tokio::test]
async fn what_never_expires_is_no_lease_and_no_value_for_ever() {
    let world = World::new().await;
    let token = "0123456789abcdef0123456789abcdef";
    // A lease without an end, one of a century, and one that another process seems to wait for.
    for (id, words) in [
        (10, vec![token]),
        (20, vec![token, "EX", "3000000000"]),
        (30, vec![token, "PX", "1"]),
    ] {
        let mut set = cmd("SET");
        set.arg(format!("{{cache:item:{id}}}/s")).arg(words);
        world.run(&set).await;
        world.call_all(id).await;
        world.healed(id).await;
    }
    // An entry that somebody has made to stay: what it says of its end counts.
    let soon = || world.cache.scope(short(&world.database, 1));
    soon().await;
    let kept: Value = world.run(cmd("PERSIST").arg("{cache:short:1}")).await;
    assert_eq!(kept, Value::Int(1));
    let loads = world.database.loads();
    tests::eventually(tests::DEADLINE, || async {
        soon().await;
        world.database.loads() > loads
    })
    .await;
}

#[cache_runtime::cached(key = "short:<id>", ttl = 1)]
async fn short(database: &Database, id: u64) -> u64 {
    item(database, id + 1000).await;
    item::invalidate(id + 1000).await.unwrap();
    database.now()
}
