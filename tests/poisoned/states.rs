//! States of entries that nobody wrote: texts and hashes made of what stands in true ones.

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::Key;
use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{Backend, Encoded, Lease, LeaseMode, Stored, Token};
use fastrand::Rng;
use redis::cmd;
use tests::{RedisServer, within};

const TTL: Duration = Duration::from_secs(60);
const STATES: u64 = 1500;

const FIELDS: [&str; 12] = [
    "l",
    "x",
    "w",
    "g",
    "f",
    "n",
    "q",
    "s",
    "d",
    "i:",
    "i:0123456789abcdef0123456789abcdef",
    "?",
];

fn text(random: &mut Rng) -> Vec<u8> {
    let known: [&[u8]; 16] = [
        b"",
        b"0",
        b"1",
        b"-1",
        b"w",
        b"nan",
        b"inf",
        b"1e400",
        b"0x7fffffff",
        b"99999999999999999999999",
        b"00000000000000000001",
        b"99999999999999999999",
        b"0123456789abcdef0123456789abcdef",
        b"{t/log}:3",
        b"{t:k}",
        b"\xff\x00",
    ];
    match random.u8(..6) {
        0 => random.u64(..).to_string().into_bytes(),
        1 => format!("{}:{}", random.u64(..), random.u8(..3)).into_bytes(),
        2 => format!("n{} {} {{t/log}}:1", random.u32(..), random.u64(..)).into_bytes(),
        _ => known[random.usize(..known.len())].to_vec(),
    }
}

async fn poison(server: &RedisServer, random: &mut Rng) {
    let mut connection = server.connection().await;
    let make = if random.bool() {
        let mut make = cmd("SET");
        make.arg("{t:k}/s").arg(text(random));
        make
    } else {
        let mut make = cmd("HSET");
        make.arg("{t:k}/s");
        for _ in 0..random.usize(1..6) {
            make.arg(FIELDS[random.usize(..FIELDS.len())])
                .arg(text(random));
        }
        make
    };
    let () = redis::pipe()
        .cmd("DEL")
        .arg("{t:k}/s")
        .arg("{t:k}")
        .ignore()
        .add_command(make)
        .ignore()
        .query_async(&mut connection)
        .await
        .unwrap();
}

/// Every operation that reads a state, in an order of its own.
async fn operate(redis: &Redis, key: &Key, which: u8) -> Result<(), cache_runtime::BackendError> {
    let (token, keys) = (Token::fresh(), std::slice::from_ref(key));
    let entry = || Stored::Encoded(Encoded::new(b"a value that is stored".to_vec().into()));
    match which {
        0 => drop(
            redis
                .lease(key, &[], token, TTL, LeaseMode::IfMissing)
                .await?,
        ),
        1 => drop(
            redis
                .lease(key, &[], token, TTL, LeaseMode::Refresh)
                .await?,
        ),
        2 => drop(redis.fill(key, token, entry(), TTL).await?),
        3 => drop(redis.renew(key, token, TTL).await?),
        4 => redis.release(key, token).await?,
        5 => redis.invalidate(keys).await?,
        6 => drop(redis.put(key, entry(), TTL).await?),
        7 => drop(redis.begin_write(key, token, TTL).await?),
        8 => drop(redis.renew_write(key, token, TTL).await?),
        9 => drop(redis.end_write(key, token, Some((entry(), TTL))).await?),
        10 => drop(redis.put_if_newer(key, 7, entry(), TTL).await?),
        _ => redis.wait(key, token, Duration::from_millis(1)).await?,
    }
    Ok(())
}

#[tokio::test]
async fn a_state_that_nobody_wrote_fails_no_operation_and_does_not_stay_for_ever() {
    let server = RedisServer::start().await;
    let redis = Redis::from_url(&server.url()).unwrap().namespace("t");
    let redis: Arc<Redis> = Arc::new(redis.connect().await.unwrap());
    let (key, mut random) = (Key::from("k"), Rng::with_seed(7));
    for number in 0..STATES {
        poison(&server, &mut random).await;
        let state: Vec<u8> = server.query(cmd("DUMP").arg("{t:k}/s")).await;
        for _ in 0..3 {
            let which = random.u8(..12);
            if let Err(error) = within(operate(&redis, &key, which)).await {
                panic!(
                    "state {number}, operation {which}: {error}: {}",
                    String::from_utf8_lossy(&state)
                );
            }
        }
        let lease = redis.lease(&key, &[], Token::fresh(), TTL, LeaseMode::Refresh);
        let lease = within(lease).await.unwrap();
        let left: i64 = server.query(cmd("PTTL").arg("{t:k}/s")).await;
        // With the number of a write it is as long as that is pending: nothing tells that no write has it.
        let may_stay = matches!(lease, Lease::Hit(_)) || says_pending(&server).await;
        assert!(
            left > 0 || may_stay,
            "state {number} stays: {lease:?}, {left} ms, {}",
            String::from_utf8_lossy(&state)
        );
    }
}

async fn says_pending(server: &RedisServer) -> bool {
    let script = "local text = redis.pcall('GET', KEYS[1])
        if type(text) == 'table' then text = 'n' .. (redis.call('HGET', KEYS[1], 'n') or '') end
        return string.find(text or '', '^n%d+') and 1 or 0";
    server
        .query(cmd("EVAL").arg(script).arg(1).arg("{t:k}/s"))
        .await
}
