//! What a bus has to keep.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DEADLINE;
use crate::backend::Token;
use crate::bus::{Bus, Delivered, Event, Group, Published, Read, Retention, What};
use crate::race;

type Run = fn(Bench) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One case for a bus.
#[derive(Clone, Copy)]
pub struct BusCase {
    name: &'static str,
    run: Run,
}

impl BusCase {
    /// What the case shows, as a sentence with underscores.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the case. The bus has to be empty, without groups of earlier cases: another one for each.
    ///
    /// # Panics
    ///
    /// If the bus does not keep the contract; the message says in what.
    pub async fn run(&self, bus: Arc<dyn Bus>) {
        (self.run)(Bench { bus }).await;
    }
}

impl fmt::Debug for BusCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The cases that every bus passes.
///
/// ```
/// use std::sync::Arc;
/// use cache_runtime::{bus::MemoryBus, testing::conformance};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// for case in conformance::bus_cases() {
///     println!("{}", case.name());
///     case.run(Arc::new(MemoryBus::new())).await;
/// }
/// # }
/// ```
#[must_use]
pub fn bus_cases() -> Vec<BusCase> {
    CASES.to_vec()
}

macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        const CASES: &[BusCase] =
            &[$(BusCase { name: stringify!($name), run: |bench| Box::pin($name(bench)) }),*];
    };
}

suite! {
    a_group_is_given_what_is_published_after_it_joined,
    an_event_arrives_as_it_was_sent,
    an_event_is_given_to_one_process_of_its_group,
    what_is_not_acknowledged_is_given_again,
    another_process_takes_over_what_was_left,
    a_batch_that_is_sent_again_is_there_once,
    a_sender_is_told_what_is_forgotten,
    a_new_group_owes_a_flush_until_it_is_done,
    a_read_waits_for_an_event,
    nothing_is_trimmed_that_a_group_has_not_acknowledged,
    what_all_have_acknowledged_is_trimmed,
    one_process_trims_for_all,
    a_group_that_is_too_far_behind_is_lost,
    a_group_that_is_too_late_is_lost,
    the_group_of_a_silent_process_is_lost,
    a_process_that_leaves_takes_its_own_group_with_it,
    a_backlog_is_what_is_not_acknowledged,
}

/// More events than any case has.
const ALL: usize = 1000;

/// Nothing is lost by it, and it is done at each call.
const KEEP: Retention = Retention {
    age: Duration::from_secs(600),
    events: 1_000_000,
    silence: Duration::from_secs(600),
    every: Duration::from_millis(1),
};

struct Bench {
    bus: Arc<dyn Bus>,
}

fn group(region: &str) -> Group {
    Group::of_region(region).expect("a good name")
}

fn event(key: &str) -> Event {
    Event {
        origin: group("origin"),
        is_for_origin: false,
        waited: Duration::ZERO,
        what: What::Keys(vec![key.into()]),
    }
}

/// The keys of events of one key.
fn keys(delivered: &[Delivered]) -> Vec<String> {
    let key = |delivered: &Delivered| match &delivered.event.as_ref().expect("readable").what {
        What::Keys(keys) => keys[0].to_string(),
        other => panic!("{other:?} was not sent"),
    };
    delivered.iter().map(key).collect()
}

impl Bench {
    /// Publishes an event for each key.
    async fn publish(&self, keys: &[&str]) {
        let events: Vec<Event> = keys.iter().copied().map(event).collect();
        let published = self.bus.publish(Token::fresh(), 1, &events).await;
        assert_eq!(published.expect("publish"), Published::Done);
    }

    /// Makes a group that owes nothing.
    async fn join(&self, group: &Group) {
        if let Some(flush) = self.bus.join(group).await.expect("join") {
            self.bus.flushed(group, flush).await.expect("flushed");
        }
    }

    async fn read(&self, group: &Group, process: Token, read: Read, most: usize) -> Vec<Delivered> {
        let found = self.bus.read(group, process, read, most, Duration::ZERO);
        found.await.expect("read").expect("a group")
    }

    async fn fresh(&self, group: &Group, process: Token) -> Vec<Delivered> {
        self.read(group, process, Read::New, ALL).await
    }

    async fn acknowledge(&self, group: &Group, delivered: &[Delivered]) {
        let positions: Vec<_> = delivered.iter().map(|event| event.position).collect();
        let done = self.bus.acknowledge(group, &positions);
        done.await.expect("acknowledge");
    }

    async fn claim(&self, group: &Group, process: Token, idle: Duration) -> Vec<Delivered> {
        let claimed = self.bus.claim(group, process, idle, ALL);
        claimed.await.expect("claim")
    }

    /// Trims, however short a time ago that was done.
    async fn trim(&self, retention: Retention) -> Vec<String> {
        tokio::time::sleep(retention.every * 3).await;
        self.bus.trim(retention).await.expect("trim")
    }

    async fn is_there(&self, group: &Group) -> bool {
        let backlog = self.bus.backlog(group).await.expect("backlog");
        let read = self
            .bus
            .read(group, Token::fresh(), Read::Again, 1, Duration::ZERO);
        let read = read.await.expect("read");
        assert_eq!(backlog.is_some(), read.is_some(), "one says it is gone");
        read.is_some()
    }

    async fn backlog(&self, group: &Group) -> u64 {
        let backlog = self.bus.backlog(group).await.expect("backlog");
        backlog.expect("a group").events
    }
}

async fn a_group_is_given_what_is_published_after_it_joined(bench: Bench) {
    let (one, other, process) = (group("one"), group("other"), Token::fresh());
    assert!(!bench.is_there(&one).await);
    bench.join(&one).await;
    bench.publish(&["a", "b"]).await;
    bench.join(&other).await;
    bench.publish(&["c"]).await;
    let seen = bench.fresh(&one, process).await;
    assert_eq!(keys(&seen), ["a", "b", "c"]);
    assert!(seen.is_sorted_by_key(|event| event.position));
    assert_eq!(keys(&bench.fresh(&other, process).await), ["c"]);
    // To join once more changes nothing.
    bench.publish(&["d"]).await;
    bench.join(&one).await;
    assert_eq!(keys(&bench.fresh(&one, process).await), ["d"]);
}

async fn an_event_arrives_as_it_was_sent(bench: Bench) {
    let here = group("here");
    bench.join(&here).await;
    let whats = [
        What::Keys(vec!["user:42".into(), "schlüssel".into()]),
        What::Tags(vec!["org:1".into()]),
        What::Everything,
    ];
    let event = |what| Event {
        origin: here.of_process(Token::fresh()),
        is_for_origin: true,
        waited: Duration::from_millis(1500),
        what,
    };
    let sent: Vec<Event> = whats.into_iter().map(event).collect();
    let published = bench.bus.publish(Token::fresh(), 1, &sent).await;
    assert_eq!(published.expect("publish"), Published::Done);
    let seen = bench.fresh(&here, Token::fresh()).await;
    let seen: Vec<_> = seen.into_iter().filter_map(|seen| seen.event).collect();
    assert_eq!(seen, sent);
}

async fn an_event_is_given_to_one_process_of_its_group(bench: Bench) {
    let (here, one, other) = (group("here"), Token::fresh(), Token::fresh());
    bench.join(&here).await;
    bench.publish(&["a", "b", "c"]).await;
    let first = bench.read(&here, one, Read::New, 2).await;
    assert_eq!(keys(&first), ["a", "b"]);
    assert_eq!(keys(&bench.fresh(&here, other).await), ["c"]);
    assert!(bench.fresh(&here, one).await.is_empty());
}

async fn what_is_not_acknowledged_is_given_again(bench: Bench) {
    let (here, one, other) = (group("here"), Token::fresh(), Token::fresh());
    bench.join(&here).await;
    bench.publish(&["a", "b", "c"]).await;
    let seen = bench.fresh(&here, one).await;
    bench.acknowledge(&here, &seen[1..2]).await;
    let again = bench.read(&here, one, Read::Again, ALL).await;
    assert_eq!(keys(&again), ["a", "c"]);
    assert_eq!(keys(&bench.read(&here, one, Read::Again, 1).await), ["a"]);
    let others = bench.read(&here, other, Read::Again, ALL).await;
    assert!(others.is_empty(), "what another was given");
    bench.acknowledge(&here, &seen).await;
    assert!(bench.read(&here, one, Read::Again, ALL).await.is_empty());
}

async fn another_process_takes_over_what_was_left(bench: Bench) {
    let (here, dead, alive) = (group("here"), Token::fresh(), Token::fresh());
    bench.join(&here).await;
    bench.publish(&["a", "b", "c"]).await;
    let seen = bench.fresh(&here, dead).await;
    bench.acknowledge(&here, &seen[..1]).await;
    let long = Duration::from_secs(600);
    assert!(bench.claim(&here, alive, long).await.is_empty(), "too soon");
    let idle = Duration::from_millis(20);
    tokio::time::sleep(idle * 2).await;
    let claimed = bench.claim(&here, alive, idle).await;
    assert_eq!(keys(&claimed), ["b", "c"]);
    let again = bench.read(&here, alive, Read::Again, ALL).await;
    assert_eq!(keys(&again), ["b", "c"], "it is the claimer's now");
    assert!(bench.read(&here, dead, Read::Again, ALL).await.is_empty());
    bench.acknowledge(&here, &claimed).await;
    assert!(bench.claim(&here, dead, Duration::ZERO).await.is_empty());
}

async fn a_batch_that_is_sent_again_is_there_once(bench: Bench) {
    let (here, sender, process) = (group("here"), Token::fresh(), Token::fresh());
    bench.join(&here).await;
    for (number, key) in [(1, "a"), (1, "a"), (2, "b"), (2, "b"), (3, "c")] {
        let published = bench.bus.publish(sender, number, &[event(key)]).await;
        assert_eq!(published.expect("publish"), Published::Done);
    }
    assert_eq!(keys(&bench.fresh(&here, process).await), ["a", "b", "c"]);
}

async fn a_sender_is_told_what_is_forgotten(bench: Bench) {
    let (here, sender) = (group("here"), Token::fresh());
    bench.join(&here).await;
    let publish = async |number, events: &[Event]| {
        let published = bench.bus.publish(sender, number, events).await;
        published.expect("publish")
    };
    assert_eq!(publish(3, &[event("a")]).await, Published::Forgotten);
    assert_eq!(publish(2, &[]).await, Published::Forgotten);
    assert!(bench.fresh(&here, Token::fresh()).await.is_empty());
    assert_eq!(publish(1, &[event("b")]).await, Published::Done);
    assert_eq!(publish(1, &[]).await, Published::Done);
    assert_eq!(publish(2, &[]).await, Published::Forgotten);
    // To ask changes nothing.
    assert_eq!(publish(3, &[event("c")]).await, Published::Forgotten);
    assert_eq!(publish(2, &[event("d")]).await, Published::Done);
    assert_eq!(keys(&bench.fresh(&here, Token::fresh()).await), ["b", "d"]);
}

async fn a_new_group_owes_a_flush_until_it_is_done(bench: Bench) {
    let here = group("here");
    let join = async || bench.bus.join(&here).await.expect("join");
    let flush = join().await.expect("a new group owes a flush");
    assert_eq!(join().await, Some(flush), "whoever asks");
    let flushed = bench.bus.flushed(&here, Token::fresh());
    flushed.await.expect("flushed");
    assert_eq!(join().await, Some(flush), "another flush is done");
    bench.bus.flushed(&here, flush).await.expect("flushed");
    assert_eq!(join().await, None);
}

async fn a_read_waits_for_an_event(bench: Bench) {
    let (here, process) = (group("here"), Token::fresh());
    bench.join(&here).await;
    let read = async |wait| {
        let read = bench.bus.read(&here, process, Read::New, ALL, wait);
        read.await.expect("read").expect("a group")
    };
    let began = Instant::now();
    assert!(read(Duration::from_millis(30)).await.is_empty());
    assert!(began.elapsed() >= Duration::from_millis(29));
    let publish = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        bench.publish(&["a"]).await;
    };
    let seen = race::beside(read(DEADLINE), publish).await;
    assert_eq!(keys(&seen), ["a"]);
    assert!(began.elapsed() < DEADLINE, "it was not woken");
}

async fn nothing_is_trimmed_that_a_group_has_not_acknowledged(bench: Bench) {
    let (fast, slow, idle) = (group("fast"), group("slow"), group("idle"));
    let process = Token::fresh();
    for group in [&fast, &slow, &idle] {
        bench.join(group).await;
    }
    bench.publish(&["a", "b", "c"]).await;
    let seen = bench.fresh(&fast, process).await;
    bench.acknowledge(&fast, &seen).await;
    // One was given and one not.
    let seen = bench.fresh(&idle, process).await;
    bench.acknowledge(&idle, &seen[..2]).await;
    assert_eq!(keys(&bench.read(&slow, process, Read::New, 1).await), ["a"]);
    assert!(bench.trim(KEEP).await.is_empty());
    assert_eq!(keys(&bench.fresh(&slow, process).await), ["b", "c"]);
    let again = bench.read(&slow, process, Read::Again, ALL).await;
    assert_eq!(keys(&again), ["a", "b", "c"]);
    bench.acknowledge(&slow, &again).await;
    assert!(bench.trim(KEEP).await.is_empty());
    assert_eq!(
        keys(&bench.read(&idle, process, Read::Again, ALL).await),
        ["c"]
    );
}

async fn what_all_have_acknowledged_is_trimmed(bench: Bench) {
    let (one, other, process) = (group("one"), group("other"), Token::fresh());
    bench.join(&one).await;
    bench.join(&other).await;
    let only_two = Retention { events: 2, ..KEEP };
    for _ in 0..3 {
        bench.publish(&["a", "b"]).await;
        // As many as there may be: with the earlier ones there were too many, and a group would be lost.
        assert!(bench.trim(only_two).await.is_empty());
        for group in [&one, &other] {
            let seen = bench.fresh(group, process).await;
            assert_eq!(keys(&seen), ["a", "b"]);
            bench.acknowledge(group, &seen).await;
        }
    }
}

async fn one_process_trims_for_all(bench: Bench) {
    let here = group("here");
    bench.join(&here).await;
    bench.publish(&["a", "b"]).await;
    let rarely = Retention {
        every: DEADLINE,
        ..KEEP
    };
    let strict = Retention {
        events: 1,
        ..rarely
    };
    bench.bus.trim(rarely).await.expect("trim");
    assert!(bench.bus.trim(strict).await.expect("trim").is_empty());
    assert!(bench.is_there(&here).await);
}

async fn a_group_that_is_too_far_behind_is_lost(bench: Bench) {
    let (slow, fast, process) = (group("slow"), group("fast"), Token::fresh());
    bench.join(&slow).await;
    bench.join(&fast).await;
    bench.publish(&["a", "b", "c"]).await;
    let seen = bench.fresh(&fast, process).await;
    bench.acknowledge(&fast, &seen[..2]).await;
    assert_eq!(bench.trim(Retention { events: 2, ..KEEP }).await, ["slow"]);
    assert!(!bench.is_there(&slow).await);
    // The other has what it had.
    assert_eq!(
        keys(&bench.read(&fast, process, Read::Again, ALL).await),
        ["c"]
    );
    let flush = bench.bus.join(&slow).await.expect("join");
    assert!(flush.is_some(), "nobody told it what it missed");
    assert!(bench.fresh(&slow, process).await.is_empty());
    bench.publish(&["d"]).await;
    assert_eq!(keys(&bench.fresh(&slow, process).await), ["d"]);
}

async fn a_group_that_is_too_late_is_lost(bench: Bench) {
    let (late, idle, process) = (group("late"), group("idle"), Token::fresh());
    bench.join(&late).await;
    bench.publish(&["a"]).await;
    bench.join(&idle).await;
    // One is lost also if a process of it has been given the event.
    bench.fresh(&late, process).await;
    let age = Duration::from_millis(40);
    let short = Retention { age, ..KEEP };
    tokio::time::sleep(age * 2).await;
    assert_eq!(bench.trim(short).await, ["late"]);
    assert!(!bench.is_there(&late).await);
    assert!(bench.is_there(&idle).await, "it has nothing before it");
}

async fn the_group_of_a_silent_process_is_lost(bench: Bench) {
    let region = group("here");
    let (loud, silent) = (Token::fresh(), Token::fresh());
    let (of_loud, of_silent) = (region.of_process(loud), region.of_process(silent));
    bench.join(&region).await;
    bench.fresh(&region, silent).await;
    for (group, process) in [(&of_loud, loud), (&of_silent, silent)] {
        bench.join(group).await;
        bench.fresh(group, process).await;
    }
    let silence = Duration::from_millis(500);
    let short = Retention { silence, ..KEEP };
    let began = Instant::now();
    while began.elapsed() < silence * 2 {
        bench.join(&of_loud).await;
        tokio::time::sleep(silence / 10).await;
    }
    bench.join(&of_loud).await;
    assert_eq!(bench.trim(short).await, [of_silent.as_str()]);
    assert!(bench.is_there(&region).await);
    assert!(bench.is_there(&of_loud).await);
}

async fn a_process_that_leaves_takes_its_own_group_with_it(bench: Bench) {
    let (region, process, other) = (group("here"), Token::fresh(), Token::fresh());
    let own = region.of_process(process);
    bench.join(&region).await;
    bench.join(&own).await;
    bench.publish(&["a"]).await;
    bench.fresh(&region, process).await;
    bench.bus.leave(&own, process).await.expect("leave");
    bench.bus.leave(&region, process).await.expect("leave");
    assert!(!bench.is_there(&own).await);
    let claimed = bench.claim(&region, other, Duration::ZERO).await;
    assert_eq!(keys(&claimed), ["a"]);
}

async fn a_backlog_is_what_is_not_acknowledged(bench: Bench) {
    let (here, process) = (group("here"), Token::fresh());
    bench.join(&here).await;
    assert_eq!(bench.backlog(&here).await, 0);
    bench.publish(&["a", "b", "c"]).await;
    assert_eq!(bench.backlog(&here).await, 3);
    let seen = bench.read(&here, process, Read::New, 2).await;
    assert_eq!(bench.backlog(&here).await, 3);
    bench.acknowledge(&here, &seen[1..]).await;
    assert_eq!(bench.backlog(&here).await, 2);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let backlog = bench.bus.backlog(&here).await.expect("backlog");
    let oldest = backlog.expect("a group").oldest;
    assert!(oldest >= Duration::from_millis(18), "{oldest:?}");
    bench.acknowledge(&here, &seen).await;
    let seen = bench.fresh(&here, process).await;
    bench.acknowledge(&here, &seen).await;
    let backlog = bench.bus.backlog(&here).await.expect("backlog");
    assert_eq!(backlog, Some(crate::bus::Backlog::default()));
}
