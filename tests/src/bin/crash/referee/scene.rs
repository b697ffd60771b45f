//! Everything that runs: servers and members, what is done to them, and what they leave.

use std::time::{Duration, Instant};

use cache_runtime::Cache;
use tests::driver::{self, Trouble};
use tests::{PostgresServer, RedisServer};

use super::acknowledged::Acknowledged;
use super::plan::{Kill, WORKERS, WRITERS, What};
use crate::arguments::{Arguments, Without};
use crate::ledger::{APPLIED, TABLES};
use crate::member::{self, ROLE, Settings};
use crate::words::{Order, Word};

/// How long the members have at the end for what is still in the log: far longer than they need.
const SETTLING: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

type Member = driver::Member<Order, Word>;

/// Who does what.
#[derive(Debug, Clone, Copy)]
enum Role {
    Writer,
    Worker,
    Both,
}

#[derive(Debug)]
pub(super) struct Scene {
    // Members first: they are dropped before their servers.
    /// The writers, the workers, and the one that does both.
    members: Vec<Member>,
    births: u32,
    acknowledged: Acknowledged,
    redis: RedisServer,
    postgres: PostgresServer,
    seed: u64,
    without: Without,
    verbose: bool,
}

impl Scene {
    pub(super) async fn set(arguments: &Arguments) -> Result<Self, Trouble> {
        let redis = if arguments.without.aof {
            RedisServer::start().await
        } else {
            RedisServer::builder().append_only().start().await
        };
        let postgres = PostgresServer::start().await;
        postgres.connect().await.batch_execute(TABLES).await?;
        let mut scene = Self {
            members: Vec::new(),
            births: 0,
            acknowledged: Acknowledged::default(),
            redis,
            postgres,
            seed: arguments.seed,
            without: arguments.without,
            verbose: arguments.verbose,
        };
        for place in 0..=WRITERS + WORKERS {
            let member = scene.start(place)?;
            scene.members.push(member);
        }
        Ok(scene)
    }

    fn start(&mut self, place: usize) -> Result<Member, Trouble> {
        let role = role_of(place);
        let settings = Settings {
            writes: !matches!(role, Role::Worker),
            works: !matches!(role, Role::Writer),
            birth: self.births,
            seed: self.seed,
            redis: self.redis.url(),
            postgres: self.postgres.url(),
            without: self.without,
            verbose: self.verbose,
        };
        self.births += 1;
        let name = format!("member {place} ({role:?})");
        let acknowledged = self.acknowledged.clone();
        Member::start(ROLE, &name, &settings, move |word| acknowledged.note(word))
    }

    pub(super) async fn carry_out(&mut self, kill: Kill) -> Result<(), Trouble> {
        tokio::time::sleep(kill.after).await;
        match kill.what {
            What::Writer(which) => self.kill(which).await,
            What::Worker(which) => self.kill(WRITERS + which).await,
            What::Both => self.kill(WRITERS + WORKERS).await,
            What::AfterCommit(which) => self.kill_after_commit(WRITERS + which).await,
            What::AloneAtWork(which, asleep, longer) => {
                self.kill_alone_at_work(WRITERS + which, asleep, longer)
                    .await
            }
            What::Redis(away) => self.kill_redis(away).await,
            What::RedisAfterSleep(asleep, away) => {
                self.redis.pause();
                tokio::time::sleep(asleep).await;
                self.redis.resume();
                tokio::time::sleep(away).await;
                self.kill_redis(away).await
            }
            What::RedisBehindWorkers(away) => self.kill_redis_behind_workers(away).await,
        }
    }

    async fn kill(&mut self, place: usize) -> Result<(), Trouble> {
        self.members.remove(place).kill().await?;
        let next = self.start(place)?;
        self.members.insert(place, next);
        Ok(())
    }

    async fn kill_after_commit(&mut self, place: usize) -> Result<(), Trouble> {
        self.members[place].tell(Order::Hold).await?;
        self.members[place].hear_of(Word::Held).await?;
        self.kill(place).await
    }

    async fn kill_alone_at_work(
        &mut self,
        place: usize,
        asleep: Duration,
        longer: Duration,
    ) -> Result<(), Trouble> {
        let others = || (WRITERS..=WRITERS + WORKERS).filter(move |&other| other != place);
        for other in others() {
            self.members[other].stop()?;
        }
        tokio::time::sleep(asleep).await;
        self.members.remove(place).kill().await?;
        tokio::time::sleep(longer).await;
        let next = self.start(place)?;
        self.members.insert(place, next);
        for other in others() {
            self.members[other].resume()?;
        }
        Ok(())
    }

    async fn kill_redis(&mut self, away: Duration) -> Result<(), Trouble> {
        self.redis.kill();
        tokio::time::sleep(away).await;
        self.redis.restart().await;
        Ok(())
    }

    async fn kill_redis_behind_workers(&mut self, away: Duration) -> Result<(), Trouble> {
        let (writers, who_work) = self.members.split_at_mut(WRITERS);
        for member in &*who_work {
            member.stop()?;
        }
        writers[0].tell(Order::TellOfWrite).await?;
        writers[0].hear_of(Word::Wrote).await?;
        self.kill_redis(away).await?;
        for member in &self.members[WRITERS..] {
            member.resume()?;
        }
        Ok(())
    }

    /// Has all writing end, and waits until the log is empty.
    pub(super) async fn settle(&mut self) -> Result<(), Trouble> {
        for member in &mut self.members {
            member.tell(Order::StopWriting).await?;
        }
        for member in &mut self.members {
            member.hear_of(Word::Stopped).await?;
        }
        let cache = member::cache(&self.redis.url(), false)?.build().await?;
        let deadline = Instant::now() + SETTLING;
        while !is_empty(&cache).await {
            if Instant::now() > deadline {
                let left = cache.stats().write_behind;
                // Not the end: the figures say what that comes to.
                eprintln!("crash: the log is not empty after {SETTLING:?}: {left:?}");
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        for letter in cache.dead_letters().await? {
            eprintln!("crash: a dead letter: {letter:?}");
        }
        Ok(())
    }

    /// Page and number of every write that was applied, in order.
    pub(super) async fn applied(&self) -> Result<Vec<(u64, u64)>, Trouble> {
        let rows = self.postgres.connect().await.query(APPLIED, &[]).await?;
        let unsigned = |row: &tokio_postgres::Row, at| row.get::<_, i64>(at).cast_unsigned();
        let pairs = rows.iter().map(|row| (unsigned(row, 0), unsigned(row, 1)));
        Ok(pairs.collect())
    }

    pub(super) fn acknowledged(&self) -> Acknowledged {
        self.acknowledged.clone()
    }
}

fn role_of(place: usize) -> Role {
    match place {
        0..WRITERS => Role::Writer,
        _ if place < WRITERS + WORKERS => Role::Worker,
        _ => Role::Both,
    }
}

/// By the log's own count, and by what is in it. Redis may still be reading its file.
async fn is_empty(cache: &Cache) -> bool {
    let Ok(report) = cache.flush_now().await else {
        return false;
    };
    let lag = cache.stats().write_behind.lag;
    report.remaining == 0 && lag == Duration::ZERO
}
