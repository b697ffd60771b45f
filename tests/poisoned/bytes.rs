//! Damaged entries and other programs' values under the keys of entries.

use fastrand::Rng;
use redis::{Value, cmd};
use tests::hostile::mutate;

use crate::world::*;

const KEYS: u64 = 3000;

/// What other programs keep under such keys.
const FOREIGN: [&[u8]; 8] = [
    b"",
    b"42",
    b"null",
    b"{\"id\":42,\"name\":\"Ada\"}",
    b"a:1:{s:4:\"name\";s:3:\"Ada\";}",
    b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08Lovelace\x94.",
    b"\xac\xed\x00\x05sr\x00\x0ejava.util.Date",
    b"CRT\x01\x01\x00\x00\x00",
];

#[tokio::test]
async fn damaged_entries_and_foreign_values_are_misses_that_are_counted_and_overwritten() {
    let world = World::new().await;
    let (cache, database) = (&world.cache, &world.database);
    let mut sound = Vec::new();
    for id in 0..20 {
        cache.scope(item(database, id)).await;
        cache.scope(tagged(database, 7, id)).await;
        for key in ["item", "tagged"] {
            let bytes = world
                .run(cmd("GET").arg(format!("{{cache:{key}:{id}}}")))
                .await;
            let Value::BulkString(bytes) = bytes else {
                panic!("an entry is stored: {bytes:?}");
            };
            sound.push(bytes);
        }
    }
    // What the database says now is in none of the entries: a value from one of them shows.
    cache.scope(change(database, 8, 0)).await;
    let mut random = Rng::with_seed(1);
    let mut poison = redis::Pipeline::new();
    for id in 100..100 + KEYS {
        for key in ["item", "tagged"] {
            let mut bytes = match random.u8(..8) {
                0 => FOREIGN[random.usize(..FOREIGN.len())].to_vec(),
                _ => sound[random.usize(..sound.len())].clone(),
            };
            let before = bytes.clone();
            while bytes == before {
                mutate(&mut bytes, &sound, &mut random);
            }
            // A sound entry whose stamp or tag version was changed is still sound: those are for the server to write.
            if bytes.len() >= 64 && sound.iter().any(|sound| same_sum(sound, &bytes)) {
                continue;
            }
            poison.set(format!("{{cache:{key}:{id}}}"), bytes);
        }
    }
    let mut connection = world.server.connection().await;
    let () = poison.query_async(&mut connection).await.unwrap();
    for id in 100..100 + KEYS {
        let value = cache.scope(item(database, id)).await;
        assert_eq!(value, database.now(), "item {id}");
        let value = cache.scope(tagged(database, 7, id)).await;
        assert_eq!(value, database.now(), "tagged {id}");
    }
    let stats = cache.stats();
    for of in [item::SPEC, tagged::SPEC] {
        let figures = stats.function(of);
        assert!(figures.unreadable > KEYS / 2, "{figures:?}");
        assert_eq!(figures.errors, 0, "{figures:?}");
    }
    // All of it was overwritten.
    let loads = database.loads();
    for id in 100..100 + KEYS {
        cache.scope(item(database, id)).await;
        cache.scope(tagged(database, 7, id)).await;
    }
    assert_eq!(database.loads(), loads);
}

fn same_sum(one: &[u8], other: &[u8]) -> bool {
    one[16..24] == other[16..24] && one[64..] == other[64..]
}
