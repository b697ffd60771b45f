//! Everything that runs: servers and members.

use std::time::{Duration, Instant};

use tests::driver::{self, Trouble};
use tests::{PostgresServer, Proxy, RedisServer};

use super::plan::MEMBERS;
use crate::arguments::Arguments;
use crate::checker::{Checker, Message, Tally};
use crate::clock::Moment;
use crate::keys::{Level, Mode, RowId};
use crate::member::{LEASE, ROLE, Settings, TTL};
use crate::words::{Order, Word};

type Member = driver::Member<Order, Word>;

const TABLE: &str =
    "CREATE TABLE rows (id bigint PRIMARY KEY, version bigint NOT NULL) WITH (fillfactor = 10)";

/// How long the members have for a thousand reads: far longer than they need.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Without faults the tasks do all they can, and nobody gives up on a busy server.
const TASKS: u64 = 64;
const PATIENCE_IN_CALM: Duration = Duration::from_secs(15);
/// With faults the machine is left some time, so that a server which does not answer is one that was stopped.
const TASKS_WITH_FAULTS: u64 = 20;
const THOUGHT_WITH_FAULTS: u64 = 3000;
const PATIENCE_WITH_FAULTS: Duration = Duration::from_millis(150);

pub(super) struct Scene<'a> {
    // Members first: they are dropped before their servers.
    pub(super) members: Vec<(u64, Member)>,
    births: u64,
    pub(super) checker: Checker,
    /// The members' way to Redis.
    pub(super) proxy: Proxy,
    pub(super) redis: RedisServer,
    pub(super) postgres: PostgresServer,
    arguments: &'a Arguments,
    told: Instant,
    slowest_recovery: Duration,
}

/// A server that keeps what it acknowledges, and gives copies of it away at once.
pub(super) async fn durable_redis() -> RedisServer {
    let server = RedisServer::builder().append_only();
    server.config("repl-diskless-sync-delay 0").start().await
}

/// Says at its end that nothing more comes from a process.
struct Teller {
    birth: u64,
    messages: std::sync::mpsc::Sender<Message>,
}

impl Teller {
    fn note(&self, word: Word) -> Option<Word> {
        match word {
            Word::Halted { .. } | Word::Held | Word::Healthy | Word::AllRead => Some(word),
            _ => {
                // The checker ends last.
                let _ = self.messages.send(Message::Said(self.birth, word));
                None
            }
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Gone(self.birth));
    }
}

impl<'a> Scene<'a> {
    pub(super) async fn set(arguments: &'a Arguments) -> Result<Self, Trouble> {
        let redis = if arguments.faults.is_empty() {
            RedisServer::start().await
        } else {
            durable_redis().await
        };
        // What it has committed must be there after a crash of its processes, if not of the machine.
        let postgres = PostgresServer::builder().config("synchronous_commit=on");
        let postgres = postgres.start().await;
        let client = postgres.connect().await;
        client.batch_execute(TABLE).await?;
        let rows = Mode::ON_REDIS
            .into_iter()
            .flat_map(|mode| RowId::all_of(mode, 0));
        let ids: Vec<i64> = rows.map(|row| row.0.cast_signed()).collect();
        let fill = "INSERT INTO rows SELECT id, 0 FROM unnest($1::bigint[]) AS id";
        client.execute(fill, &[&ids]).await?;
        let mut scene = Self {
            members: Vec::new(),
            births: 0,
            checker: Checker::start(),
            proxy: Proxy::before(&redis).await,
            redis,
            postgres,
            arguments,
            told: Instant::now(),
            slowest_recovery: Duration::ZERO,
        };
        for _ in 0..MEMBERS {
            let member = scene.start()?;
            scene.members.push(member);
        }
        Ok(scene)
    }

    pub(super) fn start(&mut self) -> Result<(u64, Member), Trouble> {
        self.births += 1;
        let birth = self.births;
        let is_calm = self.arguments.faults.is_empty();
        let settings = Settings {
            birth,
            seed: self.arguments.seed,
            redis: if is_calm {
                self.redis.url()
            } else {
                self.proxy.url()
            },
            postgres: format!(
                "host={} port={} user=postgres dbname=postgres",
                self.postgres.socket_folder().display(),
                self.postgres.port()
            ),
            tasks: if is_calm { TASKS } else { TASKS_WITH_FAULTS },
            thought: if is_calm { 0 } else { THOUGHT_WITH_FAULTS },
            patience: if is_calm {
                PATIENCE_IN_CALM
            } else {
                PATIENCE_WITH_FAULTS
            },
            broken: self.arguments.broken,
            verbose: self.arguments.verbose,
        };
        let teller = Teller {
            birth,
            messages: self.checker.messages(),
        };
        self.checker.tell(Message::Born(birth, Moment::now()));
        let name = format!("member {birth}");
        let member = Member::start(ROLE, &name, &settings, move |word| teller.note(word))?;
        Ok((birth, member))
    }

    async fn tell_all(&mut self, order: Order) -> Result<(), Trouble> {
        for (_, member) in &mut self.members {
            member.tell(order).await?;
        }
        Ok(())
    }

    /// Gives all an order, and waits until all have said that it is done.
    async fn have_all(&mut self, order: Order, done: Word) -> Result<(), Trouble> {
        self.tell_all(order).await?;
        for (_, member) in &mut self.members {
            member.hear_of(done).await?;
        }
        Ok(())
    }

    pub(super) async fn begin(&mut self) -> Result<(), Trouble> {
        self.tell_all(Order::Begin).await
    }

    /// Waits until so many more reads are checked.
    pub(super) async fn read(&mut self, reads: u64) -> Result<(), Trouble> {
        self.read_in_all(self.checker.checked() + reads).await
    }

    /// Waits until so many reads are checked, or enough was found of what is broken on purpose.
    pub(super) async fn read_in_all(&mut self, reads: u64) -> Result<(), Trouble> {
        let mut checked = self.checker.checked();
        let mut moved = Instant::now();
        while checked < reads {
            if self.has_shown_what_is_broken() {
                return Ok(());
            }
            self.tell_of_progress();
            tokio::time::sleep(LOOK_EVERY).await;
            if self.checker.checked() > checked {
                (checked, moved) = (self.checker.checked(), Instant::now());
            } else if moved.elapsed() > PATIENCE {
                return Err(
                    format!("no read was checked for {PATIENCE:?}, after {checked}").into(),
                );
            }
        }
        Ok(())
    }

    /// Whether a mechanism is broken on purpose, and that was seen.
    pub(super) fn has_shown_what_is_broken(&self) -> bool {
        self.arguments.broken.is_some() && self.checker.violations() > 0
    }

    /// The longest time from the end of a fault until every process used Redis again and had delivered what it had kept.
    pub(super) fn slowest_recovery(&self) -> Duration {
        self.slowest_recovery
    }

    fn tell_of_progress(&mut self) {
        if self.told.elapsed() > TELL_EVERY {
            self.told = Instant::now();
            let (checked, violations) = (self.checker.checked(), self.checker.violations());
            let all = self.arguments.reads;
            eprintln!("histories: {checked} of {all} reads checked, {violations} violations");
        }
    }

    /// Waits until everybody has recovered, has every row read by every process while nobody writes, and has that held against the database.
    /// What may be stale until its TTL has gone by then.
    pub(super) async fn check_all(&mut self, wait: bool) -> Result<(), Trouble> {
        let began = Instant::now();
        self.have_all(Order::HoldWrites, Word::Held).await?;
        self.have_all(Order::TellOfHealth, Word::Healthy).await?;
        self.slowest_recovery = self.slowest_recovery.max(began.elapsed());
        if wait {
            tokio::time::sleep(TTL + LEASE + Duration::from_millis(500)).await;
        }
        let versions = self.postgres.connect().await;
        let versions = versions.query("SELECT id, version FROM rows", &[]).await?;
        for found in versions {
            let row = RowId(found.get::<_, i64>(0).cast_unsigned());
            let version = found.get::<_, i64>(1).cast_unsigned();
            if wait || row.mode().level() != Level::Eventual {
                let at = Moment::now();
                self.checker.tell(Message::Is { row, version, at });
            }
        }
        self.have_all(Order::ReadAll, Word::AllRead).await
    }

    /// Has everybody write again after a check.
    pub(super) async fn go_on(&mut self) -> Result<(), Trouble> {
        self.tell_all(Order::Write).await
    }

    /// Ends the members, and waits for the verdict.
    pub(super) async fn end(mut self) -> Result<Tally, Trouble> {
        for member in std::mem::take(&mut self.members) {
            member.1.kill().await?;
        }
        Ok(self.checker.finish())
    }
}
