//! In eight processes that share a Redis: this binary, run again, an eighth of the callers in each.

use std::future::Future;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use cache_runtime::Cache;
use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_redis::{ConnectionMode, RedisBackend};
use tests::RedisServer;

use super::callers::{crowd, load};
use super::{CALLERS, ROUNDS, Seen, add, runtime};
use crate::report::{OURS, Report, progress};
use crate::workload::User;

/// The argument that makes this binary one of the eight.
pub(crate) const CHILD: &str = "stampede-child";

const PROCESSES: usize = 8;
/// A key asked for before the first round: it makes each process connect.
const FIRST: u64 = 1_000_000;

pub(super) fn measure(report: &mut Report) {
    let runtime = runtime();
    let server = runtime.block_on(RedisServer::start());
    // One subject's processes at a time: idle connections of the others would not be in a user's way either.
    for subject in [OURS, "cached", "hitbox"] {
        let mut others: Vec<Other> = (0..PROCESSES)
            .map(|_| Other::start(subject, &server.url()))
            .collect();
        for round in 1..=ROUNDS {
            progress(&format!(
                "{PROCESSES} processes: round {round} of {ROUNDS}, {subject}"
            ));
            for other in &mut others {
                other.tell(round);
            }
            let seen: Vec<Seen> = others.iter_mut().map(Other::hear).collect();
            add(report, "8-processes", subject, &seen);
        }
    }
}

/// One of the eight, seen from the process that measures.
#[derive(Debug)]
struct Other {
    process: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(subject: &str, url: &str) -> Self {
        let mut process =
            Command::new(std::env::current_exe().expect("a program knows its own file"))
                .args([CHILD, subject, url])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a program can run its own file");
        let stdin = process.stdin.take().expect("stdin is piped");
        let lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        let mut other = Self {
            process,
            stdin,
            lines,
        };
        assert_eq!(other.line(), "ready");
        other
    }

    fn tell(&mut self, key: u64) {
        writeln!(self.stdin, "{key}").expect("the process listens");
    }

    fn hear(&mut self) -> Seen {
        let line = self.line();
        let numbers: Vec<u64> = line
            .split(' ')
            .map(|number| number.parse().expect("a number"))
            .collect();
        Seen {
            loads: numbers[0],
            loaded: (numbers[1] != 0).then_some(numbers[1]),
            served: numbers[2],
        }
    }

    fn line(&mut self) -> String {
        self.lines
            .next()
            .expect("the process ended early")
            .expect("text")
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where `cached` finds its server: its attribute takes no value from a caller.
static URL: OnceLock<String> = OnceLock::new();

/// One of the eight, from inside: a round for each line of its input.
pub(crate) fn child(subject: &str, url: &str) {
    let url = URL.get_or_init(|| url.to_owned());
    runtime().block_on(async {
        match subject {
            OURS => {
                let cache = Cache::builder()
                    .url(url)
                    .expect("a valid url")
                    .build()
                    .await
                    .expect("the server runs");
                cache.install().expect("the first to be installed");
                rounds(ours).await;
            }
            "cached" => {
                rounds(|id| async move { cached(id).await.expect("the server runs") }).await;
            }
            _ => {
                let one = ConcurrencyLimit::new(1).expect("within its bounds");
                let backend =
                    RedisBackend::builder().connection(ConnectionMode::single(url.as_str()));
                let hitbox = hitbox_fn::Cache::builder()
                    .backend(backend.build().expect("a valid url"))
                    .policy(
                        PolicyConfig::builder()
                            .ttl(Duration::from_secs(300))
                            .concurrency(one)
                            .build(),
                    )
                    .concurrency_manager(BroadcastConcurrencyManager::new())
                    .build();
                rounds(move |id| {
                    let hitbox = hitbox.clone();
                    async move { hitboxed(id).cache(&hitbox).await }
                })
                .await;
            }
        }
    });
}

async fn rounds<F, Fut>(call: F)
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = User> + Send + 'static,
{
    call(FIRST).await;
    println!("ready");
    for line in std::io::stdin().lines() {
        let Ok(Ok(id)) = line.map(|line| line.parse()) else {
            return;
        };
        let seen = crowd(CALLERS / PROCESSES, id, &call).await;
        println!(
            "{} {} {}",
            seen.loads,
            seen.loaded.unwrap_or(0),
            seen.served
        );
    }
}

#[cache_runtime::cached(key = "user:<id>", ttl = 300)]
async fn ours(id: u64) -> User {
    load(id).await
}

#[cached::macros::concurrent_cached(
    ty = "cached::AsyncRedisCache<String, User>",
    create = r#"{
        cached::AsyncRedisCache::builder("user")
            .ttl(Duration::from_secs(300))
            .connection_string(URL.get().expect("set before the first call"))
            .build()
            .await
            .expect("the server runs")
    }"#,
    map_error = r#"|error| error.to_string()"#,
    key = "String",
    convert = { format!("user:{id}") }
)]
async fn cached(id: u64) -> Result<User, String> {
    Ok(load(id).await)
}

#[hitbox_fn::cached(prefix = "user")]
async fn hitboxed(id: u64) -> User {
    load(id).await
}
