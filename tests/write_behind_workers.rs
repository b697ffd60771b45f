//! Workers of several processes on one log: who owns what, who takes over, and what an owner that was stopped may not do.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_runtime::backend::log::{Append, Appended, Begun, Burial, Done, Payload, partition_of};
use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{Backend, Memory, Token};
use cache_runtime::{Cache, Error, Key, WriteBehind, cached};
use tests::{DEADLINE, Logs, Process, RedisServer, eventually, within};

/// How long a worker that is killed or stopped is waited for.
const LEASE: Duration = Duration::from_millis(900);

#[derive(Debug)]
struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

/// What the body of this process does.
#[derive(Clone)]
enum Desk {
    /// Notes what it gets.
    Writes(Arc<Mutex<Vec<(String, u64)>>>),
    /// Tells the test that it has begun, and waits for a word from it.
    Waits,
    /// Tells the test.
    Tells,
    /// Ends its process.
    Dies,
}

impl Desk {
    async fn takes(&self, text: String, sequence: u64) {
        match self {
            Self::Writes(lines) => lines.lock().unwrap().push((text, sequence)),
            Self::Waits => {
                Process::say(&format!("{text} {sequence}"));
                tokio::task::spawn_blocking(Process::listen).await.unwrap();
            }
            Self::Tells => Process::say(&text),
            Self::Dies => std::process::abort(),
        }
    }
}

#[cached(pattern = "write-behind", key = "text:<id>", merge = join, flush = "20ms")]
async fn write(
    #[context] desk: &Desk,
    id: u64,
    text: String,
    #[sequence] sequence: u64,
) -> Result<(), Failed> {
    let _ = id;
    desk.takes(text, sequence).await;
    Ok(())
}

/// In no hurry: it is run when a flush asks for it.
#[cached(pattern = "write-behind", key = "late:<id>", merge = join, flush = "1h")]
async fn write_late(
    #[context] desk: &Desk,
    id: u64,
    text: String,
    #[sequence] sequence: u64,
) -> Result<(), Failed> {
    let _ = id;
    desk.takes(text, sequence).await;
    Ok(())
}

fn join(earlier: &mut String, later: String) {
    earlier.push_str(&later);
}

#[cached(pattern = "write-behind", key = "other:<id>", value = none, flush = "20ms")]
async fn other(#[context] desk: &Desk, id: u64, note: &str) -> Result<(), Failed> {
    write_other(desk, id, note);
    Ok(())
}

fn write_other(desk: &Desk, id: u64, text: &str) {
    if let Desk::Writes(lines) = desk {
        lines.lock().unwrap().push((text.to_owned(), id));
    }
}

async fn cache(url: &str, desk: Option<Desk>) -> Cache {
    let options = WriteBehind::new()
        .worker(desk.is_some())
        .attempts(3)
        .backoff(Duration::from_millis(10), Duration::from_millis(20));
    let builder = Cache::builder()
        .url(url)
        .unwrap()
        .namespace("n")
        .lease_ttl(LEASE);
    let builder = match desk {
        Some(desk) => builder.provide(desk),
        None => builder,
    };
    builder.write_behind(options).build().await.unwrap()
}

/// In a child: works until it is killed.
async fn play(desk: Desk) {
    let cache = cache(&std::env::var("URL").unwrap(), Some(desk)).await;
    eventually(DEADLINE, async || cache.stats().write_behind.partitions > 0).await;
    Process::say("ready");
    std::future::pending::<()>().await;
}

async fn emptied(cache: &Cache) {
    eventually(DEADLINE, async || {
        cache.flush_now().await.unwrap().remaining == 0
    })
    .await;
}

#[tokio::test]
async fn what_a_killed_worker_had_begun_is_run_again_as_it_was() {
    if Process::role().is_some() {
        return play(Desk::Waits).await;
    }
    let server = RedisServer::start().await;
    let url = server.url();
    let name = "what_a_killed_worker_had_begun_is_run_again_as_it_was";
    let mut worker = Process::spawn(name, "worker", &[("URL", &url)]);
    assert_eq!(worker.hear().await, "ready");
    let writer = cache(&url, None).await;
    writer.scope(write(1, "a".to_owned())).await.unwrap();
    let begun = worker.hear().await;
    // Too late to become part of what was begun.
    writer.scope(write(1, "b".to_owned())).await.unwrap();
    worker.kill().await;
    let lines = Arc::<Mutex<Vec<_>>>::default();
    let heir = cache(&url, Some(Desk::Writes(lines.clone()))).await;
    emptied(&heir).await;
    let lines = lines.lock().unwrap().clone();
    assert_eq!(format!("{} {}", lines[0].0, lines[0].1), begun);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1].0, "b");
    assert!(lines[1].1 > lines[0].1);
}

/// Whatever it takes itself for: what it says may have been on its way for as long as its ownership lasted.
#[tokio::test]
async fn the_log_takes_nothing_from_who_does_not_own_the_partition() {
    let server = RedisServer::start().await;
    let redis = Redis::from_url(&server.url()).unwrap().connect().await;
    let memory = Memory::new();
    refuses_strangers(&memory, Payload::Typed(Arc::new(()))).await;
    refuses_strangers(&redis.unwrap(), Payload::Encoded(vec![1].into())).await;
}

async fn refuses_strangers(backend: &dyn Backend, payload: Payload) {
    let log = backend.write_log().unwrap();
    let (owner, stranger) = (Token::fresh(), Token::fresh());
    assert_eq!(log.attend(owner, DEADLINE).await.unwrap().owned.len(), 16);
    let (key, function) = (Key::from("text:1"), "write".to_owned());
    let write = Append {
        key: key.clone(),
        function: function.clone(),
        payload: payload.clone(),
        value: None,
        max_pending: 1,
    };
    let Appended::Logged(sequence) = log.append(write).await.unwrap() else {
        panic!("there is room for one");
    };
    let partition = partition_of(&key);
    let begun = [Begun {
        key: key.clone(),
        through: sequence,
        attempts: 1,
    }];
    let done = Done {
        key,
        function,
        sequences: vec![sequence],
        invalidates: false,
    };
    let burial = Burial {
        done: done.clone(),
        payload,
        error: "none".to_owned(),
        attempts: 1,
    };
    let began = async |member| log.begin(partition, member, &begun).await.unwrap();
    let done = [done];
    assert_eq!(began(stranger).await, None);
    assert!(!log.finish(partition, stranger, &done).await.unwrap());
    assert!(!log.bury(partition, stranger, burial).await.unwrap());
    assert_eq!(began(owner).await, Some(vec![true]));
    assert!(log.finish(partition, owner, &done).await.unwrap());
}

#[tokio::test]
async fn an_owner_that_was_stopped_acknowledges_nothing_when_it_wakes_up() {
    if Process::role().is_some() {
        return wake_up().await;
    }
    let server = RedisServer::start().await;
    let url = server.url();
    let name = "an_owner_that_was_stopped_acknowledges_nothing_when_it_wakes_up";
    let mut worker = Process::spawn(name, "worker", &[("URL", &url)]);
    assert_eq!(worker.hear().await, "ready");
    let writer = cache(&url, None).await;
    writer.scope(write(1, "a".to_owned())).await.unwrap();
    let begun = worker.hear().await;
    worker.pause();
    let lines = Arc::<Mutex<Vec<_>>>::default();
    let heir = cache(&url, Some(Desk::Writes(lines.clone()))).await;
    emptied(&heir).await;
    // Its key goes on here; the body of the one that was stopped has not returned.
    writer.scope(write(1, "b".to_owned())).await.unwrap();
    emptied(&heir).await;
    worker.resume();
    worker.tell("go on").await;
    assert_eq!(worker.hear().await, "written 0, buried 0");
    worker.kill().await;
    let lines = lines.lock().unwrap().clone();
    assert_eq!(format!("{} {}", lines[0].0, lines[0].1), begun);
    assert_eq!(
        lines.iter().map(|line| line.0.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert!(heir.dead_letters().await.unwrap().is_empty());
}

/// Says what it has acknowledged once it has its share of the log again, after it had none.
async fn wake_up() {
    let cache = cache(&std::env::var("URL").unwrap(), Some(Desk::Waits)).await;
    let partitions = || cache.stats().write_behind.partitions;
    eventually(DEADLINE, async || partitions() == 16).await;
    Process::say("ready");
    eventually(DEADLINE, async || partitions() == 8).await;
    let stats = cache.stats().write_behind;
    Process::say(&format!(
        "written {}, buried {}",
        stats.written, stats.buried
    ));
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn an_owner_that_slept_does_not_run_again_what_others_have_run() {
    if Process::role().is_some() {
        return flush_when_told().await;
    }
    let server = RedisServer::start().await;
    let url = server.url();
    let name = "an_owner_that_slept_does_not_run_again_what_others_have_run";
    let mut sleeper = Process::spawn(name, "worker", &[("URL", &url)]);
    assert_eq!(sleeper.hear().await, "ready");
    let writer = cache(&url, None).await;
    writer.scope(write_late(1, "a".to_owned())).await.unwrap();
    // A partition is read in order: who has run this one has read the other.
    let late = partition_of(&Key::from("late:1"));
    let beside = (0..).find(|id| partition_of(&Key::from(format!("text:{id}"))) == late);
    let note = write(beside.unwrap(), "read".to_owned());
    writer.scope(note).await.unwrap();
    assert_eq!(sleeper.hear().await, "read");
    // What it has not told the log by now it tells when it wakes up, and learns by that of its loss.
    let in_log = redis::cmd("XLEN")
        .arg(format!("{{n/log}}:{late}"))
        .to_owned();
    eventually(DEADLINE, async || server.query::<usize>(&in_log).await == 1).await;
    sleeper.pause();

    let lines = Arc::<Mutex<Vec<_>>>::default();
    let other = cache(&url, Some(Desk::Writes(lines.clone()))).await;
    emptied(&other).await;
    let ran = lines.lock().unwrap().clone();
    assert!(ran.iter().any(|(text, _)| text == "a"), "{ran:?}");
    // So that the sleeper has the partition again when it wakes up.
    other.shutdown(DEADLINE).await;
    writer.scope(write_late(1, "b".to_owned())).await.unwrap();
    sleeper.resume();
    sleeper.tell("flush").await;
    assert_eq!(sleeper.hear().await, "b");
}

/// In a child: works, and flushes when it is told to.
async fn flush_when_told() {
    let cache = cache(&std::env::var("URL").unwrap(), Some(Desk::Tells)).await;
    eventually(DEADLINE, async || {
        cache.stats().write_behind.partitions == 16
    })
    .await;
    Process::say("ready");
    tokio::task::spawn_blocking(Process::listen).await.unwrap();
    emptied(&cache).await;
}

#[tokio::test]
async fn a_write_that_kills_its_workers_becomes_a_dead_letter() {
    if Process::role().is_some() {
        return play(Desk::Dies).await;
    }
    let server = RedisServer::start().await;
    let url = server.url();
    let name = "a_write_that_kills_its_workers_becomes_a_dead_letter";
    let writer = cache(&url, None).await;
    writer.scope(write(1, "a".to_owned())).await.unwrap();
    for _ in 0..4 {
        let worker = Process::spawn(name, "worker", &[("URL", &url)]);
        worker.end().await;
    }
    let lines = Arc::<Mutex<Vec<_>>>::default();
    let survivor = cache(&url, Some(Desk::Writes(lines.clone()))).await;
    emptied(&survivor).await;
    assert!(lines.lock().unwrap().is_empty());
    let letters = survivor.dead_letters().await.unwrap();
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}");
    };
    assert_eq!(
        letter.error,
        "the worker ended each time while this write was run"
    );
}

#[tokio::test]
async fn workers_divide_the_log_and_a_new_one_gets_its_part() {
    let server = RedisServer::start().await;
    let url = server.url();
    let lines = Arc::<Mutex<Vec<_>>>::default();
    let desk = Some(Desk::Writes(lines.clone()));
    let first = cache(&url, desk.clone()).await;
    let owned = |cache: &Cache| cache.stats().write_behind.partitions;
    eventually(DEADLINE, async || owned(&first) == 16).await;
    let second = cache(&url, desk.clone()).await;
    eventually(DEADLINE, async || owned(&first) == 8 && owned(&second) == 8).await;
    for id in 0..100 {
        first.scope(write(id, "x".to_owned())).await.unwrap();
    }
    eventually(DEADLINE, async || lines.lock().unwrap().len() == 100).await;
    let written = |cache: &Cache| cache.stats().write_behind.written;
    eventually(DEADLINE, async || written(&first) + written(&second) == 100).await;
    assert!(written(&first) > 0 && written(&second) > 0);
    second.shutdown(DEADLINE).await;
    eventually(DEADLINE, async || owned(&first) == 16).await;
}

/// Adds an entry to the partition as another version of the program would have.
async fn append_as(server: &RedisServer, stream: &str, fields: &[(&str, &[u8])]) {
    let mut command = redis::cmd("XADD");
    command.arg(stream).arg("*");
    for (name, value) in fields {
        command.arg(*name).arg(*value);
    }
    let _: String = server.query(&command).await;
}

/// What an entry says of a write without a value.
fn head(function: &str) -> Vec<u8> {
    format!(" {} {function}other:1", function.len()).into_bytes()
}

#[tokio::test]
async fn writes_of_another_version_of_the_program_become_dead_letters() {
    let server = RedisServer::start().await;
    let url = server.url();
    let writer = cache(&url, None).await;
    writer.scope(other(1, "sound")).await.unwrap();
    let mut sound = None;
    for partition in 0..16 {
        let stream = format!("{{n/log}}:{partition}");
        let range = redis::cmd("XRANGE")
            .arg(&stream)
            .arg("-")
            .arg("+")
            .to_owned();
        let entries: Vec<(String, HashMap<String, Vec<u8>>)> = server.query(&range).await;
        let first = entries.into_iter().next();
        sound = sound.or(first.map(|(_, fields)| (stream, fields)));
    }
    let (stream, mut fields) = sound.unwrap();
    let arguments = fields.remove("a").unwrap();
    let path = |name: &str| format!("write_behind_workers::{name}");
    let (gone, reshaped) = (path("gone"), path("write"));
    append_as(&server, &stream, &[("h", &head(&gone)), ("a", &arguments)]).await;
    append_as(
        &server,
        &stream,
        &[("h", &head(&reshaped)), ("a", &arguments)],
    )
    .await;
    append_as(
        &server,
        &stream,
        &[("h", &head(&path("other"))), ("a", b"\xffgarbage")],
    )
    .await;
    append_as(&server, &stream, &[("what", b"is this")]).await;
    writer.scope(other(1, "sound too")).await.unwrap();
    let lines = Arc::<Mutex<Vec<_>>>::default();
    let worker = cache(&url, Some(Desk::Writes(lines.clone()))).await;
    emptied(&worker).await;
    // Those that could be read were written, in spite of those between them.
    assert_eq!(
        lines.lock().unwrap().last(),
        Some(&("sound too".to_owned(), 1))
    );
    let letters = worker.dead_letters().await.unwrap();
    let errors: Vec<_> = letters.iter().map(|letter| letter.error.as_str()).collect();
    let named = "this program has no writer of this name";
    let shaped =
        "the arguments are of a version of the program that names or shapes them otherwise";
    assert_eq!(
        errors.iter().filter(|error| **error == named).count(),
        2,
        "{errors:?}"
    );
    assert!(errors.contains(&shaped), "{errors:?}");
    assert!(
        errors.contains(&"these bytes are not a write of this log"),
        "{errors:?}"
    );
    let of_gone = letters
        .iter()
        .find(|letter| letter.function == gone)
        .unwrap();
    assert_eq!(
        of_gone.arguments::<(u64, String)>(),
        Ok((1, "sound".to_owned()))
    );
    assert_eq!(of_gone.attempts, 0);
}

#[tokio::test]
async fn a_server_that_would_lose_the_log_is_reported_at_start() {
    let logs = Logs::capture();
    let server = RedisServer::start().await;
    let desk = Some(Desk::Waits);
    let cache = cache(&server.url(), desk.clone()).await;
    eventually(DEADLINE, async || logs.count("append-only file") == 1).await;
    drop(cache);
    let builder = RedisServer::builder().append_only();
    let evicting = builder
        .config("maxmemory 100mb")
        .config("maxmemory-policy allkeys-lru");
    let server = evicting.start().await;
    let evicting = self::cache(&server.url(), desk.clone()).await;
    eventually(DEADLINE, async || logs.count("allkeys-lru") == 1).await;
    drop(evicting);
    let server = RedisServer::builder().append_only().start().await;
    let sound = self::cache(&server.url(), desk).await;
    eventually(DEADLINE, async || {
        sound.stats().write_behind.partitions == 16
    })
    .await;
    assert_eq!(logs.count("write-behind log: "), 2, "{}", logs.text());
}

#[tokio::test]
async fn a_worker_that_lacks_one_of_its_contexts_is_not_built() {
    let server = RedisServer::start().await;
    let built = Cache::builder()
        .url(&server.url())
        .unwrap()
        .provide("something else")
        .build()
        .await;
    let Err(Error::Config(error)) = built else {
        panic!("{built:?}");
    };
    let text = error.to_string();
    assert!(
        text.contains("needs `write_behind_workers::Desk`"),
        "{text}"
    );
    assert!(text.contains("`Cache::builder().provide(…)`"), "{text}");
}

#[tokio::test]
async fn a_log_that_cannot_be_reached_is_an_error_and_the_write_is_not_made() {
    let mut server = RedisServer::start().await;
    let lines = Arc::<Mutex<Vec<_>>>::default();
    let cache = cache(&server.url(), Some(Desk::Writes(lines.clone()))).await;
    server.kill();
    let refused = within(cache.scope(write(1, "a".to_owned()))).await;
    let error = refused.unwrap_err().to_string();
    assert!(
        error.starts_with("write not acknowledged by the log: "),
        "{error}"
    );
    server.restart().await;
    eventually(DEADLINE, async || {
        cache.scope(write(1, "b".to_owned())).await.is_ok()
    })
    .await;
    eventually(DEADLINE, async || !lines.lock().unwrap().is_empty()).await;
    assert!(
        lines
            .lock()
            .unwrap()
            .iter()
            .all(|line| line.0.starts_with('b'))
    );
}
