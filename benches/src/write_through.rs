//! `write_through`: what a writer costs beyond its body and one SET, on Redis.
//!
//! `by hand` is what a team writes: the body, the codec, one SETEX, nothing that keeps the older of two values from staying. The body is `bare`, so that what
//! is seen is the cache alone, or takes the millisecond of a small transaction. Announced writes add one round trip to it, those with versions none.

use std::fmt;
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Error, cached};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tests::RedisServer;
use tokio::runtime::Builder;

use crate::report::{OURS, Over, Report, progress};
use crate::workload::User;

const KEYS: u64 = 1_000;
const ROUNDS: u64 = 15;
const BODIES: [(&str, Duration, u64); 2] = [
    ("bare", Duration::ZERO, 1_000),
    ("1 ms", Duration::from_millis(1), 200),
];
const TTL: u64 = 300;

/// What the database does. Each write has a higher version than the one before.
async fn body(takes: Duration, version: u64) -> User {
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    User {
        version,
        ..User::new(version % KEYS)
    }
}

#[cached(
    pattern = "write-through",
    key = "user:<id>",
    ttl = 300,
    codec = "postcard"
)]
async fn by_intents(takes: Duration, id: u64, version: u64) -> User {
    let _ = id;
    body(takes, version).await
}

#[cached(
    pattern = "write-through",
    key = "user:<id>",
    ttl = 300,
    codec = "postcard",
    version = "<return.version>"
)]
async fn versioned(takes: Duration, id: u64, version: u64) -> User {
    let _ = id;
    body(takes, version).await
}

#[derive(Debug)]
struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cached(
    pattern = "write-through",
    key = "user:<id>",
    ttl = 300,
    codec = "postcard",
    consistency = "strict"
)]
async fn strict(takes: Duration, id: u64, version: u64) -> Result<User, Refused> {
    let _ = id;
    Ok(body(takes, version).await)
}

#[cached(
    pattern = "write-through",
    key = "user:<id>",
    ttl = 300,
    codec = "postcard",
    consistency = "eventual"
)]
async fn eventual(takes: Duration, id: u64, version: u64) -> User {
    let _ = id;
    body(takes, version).await
}

async fn by_hand(mut connection: MultiplexedConnection, takes: Duration, version: u64) -> User {
    let user = body(takes, version).await;
    let bytes = postcard::to_allocvec(&user).expect("a user can be written");
    let stored = connection.set_ex(format!("hand:{}", user.id), bytes, TTL);
    let () = stored.await.expect("the server runs");
    user
}

#[derive(Debug, Clone, Copy)]
enum Subject {
    Intents,
    ByHand,
    Versioned,
    Strict,
    Eventual,
}

impl Subject {
    const ALL: [Self; 5] = [
        Self::Intents,
        Self::ByHand,
        Self::Versioned,
        Self::Strict,
        Self::Eventual,
    ];

    fn name(self) -> &'static str {
        match self {
            // The default.
            Self::Intents => OURS,
            Self::ByHand => "by hand",
            Self::Versioned => "versioned",
            Self::Strict => "strict",
            Self::Eventual => "eventual",
        }
    }

    async fn write(self, connection: &MultiplexedConnection, takes: Duration, version: u64) {
        let id = version % KEYS;
        let written = match self {
            Self::Intents => by_intents(takes, id, version).await,
            Self::ByHand => by_hand(connection.clone(), takes, version).await,
            Self::Versioned => versioned(takes, id, version).await,
            Self::Strict => {
                let written = strict(takes, id, version).await;
                written.unwrap_or_else(|error| panic!("refused: {error}"))
            }
            Self::Eventual => eventual(takes, id, version).await,
        };
        assert_eq!(written.version, version);
    }
}

pub(crate) fn run() -> Report {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let server = RedisServer::start().await;
        let builder = Cache::builder().url(&server.url()).expect("a valid url");
        // On a busy machine a server that takes its time is not one that hangs, and `strict` would be refused.
        let builder = builder.operation_timeout(Duration::from_secs(5));
        let cache = builder.build().await.expect("the server runs");
        let mut bench = Bench {
            version: 0,
            connection: server.connection().await,
            report: Report::new("write_through"),
        };
        let measured = async {
            for (body, takes, writes) in BODIES {
                bench.time(body, takes, writes).await;
            }
            bench.count(&server).await;
        };
        cache.scope(measured).await;
        progress("");
        bench.report
    })
}

struct Bench {
    /// Of the last write.
    version: u64,
    connection: MultiplexedConnection,
    report: Report,
}

impl Bench {
    async fn writes(&mut self, subject: Subject, takes: Duration, writes: u64) -> Duration {
        let began = Instant::now();
        for _ in 0..writes {
            self.version += 1;
            subject.write(&self.connection, takes, self.version).await;
        }
        began.elapsed()
    }

    /// The time of a write, one after another.
    async fn time(&mut self, body: &str, takes: Duration, writes: u64) {
        for round in 0..=ROUNDS {
            for subject in Subject::ALL {
                progress(&format!(
                    "{body}: round {round} of {ROUNDS}, {}",
                    subject.name()
                ));
                let time = self.writes(subject, takes, writes).await;
                // The first round is for the server to learn the scripts.
                if round > 0 {
                    let micros = time.as_secs_f64() * 1e6 / writes as f64;
                    self.report
                        .add(body, subject.name(), "us", Over::Median, micros);
                }
            }
        }
    }

    /// The commands that clients send for a write, each of them a round trip.
    async fn count(&mut self, server: &RedisServer) {
        const WRITES: u64 = 100;
        for subject in Subject::ALL {
            server.forget_calls().await;
            self.writes(subject, Duration::ZERO, WRITES).await;
            let calls = server.calls().await;
            let sent = ["eval", "evalsha", "setex"];
            let sent: u64 = sent.iter().filter_map(|&name| calls.get(name)).sum();
            let each = sent as f64 / WRITES as f64;
            self.report
                .add("round trips", subject.name(), "a write", Over::Worst, each);
        }
    }
}
