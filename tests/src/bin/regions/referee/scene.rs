//! Everything that runs: servers and members, what is done to them, and what they leave.

use std::time::{Duration, Instant};

use cache_runtime::Cache;
use cache_runtime::bus::{Bus, Group, RedisBus, Retention};
use tests::RedisServer;
use tests::driver::{self, Trouble};

use super::acknowledged::Acknowledged;
use super::figures::Found;
use super::plan::{Fault, MEMBERS, REGIONS};
use crate::arguments::{Arguments, Without};
use crate::database::Row;
use crate::member::{self, ROLE, Settings};
use crate::words::{Figures, Order, Word};

/// How long the members have for what they are to do: far longer than they need.
const PATIENCE: Duration = Duration::from_secs(120);
/// And at the end, for what is still on the bus. Without its mechanisms some of it may stay there.
const SETTLING: Duration = Duration::from_secs(60);
const SETTLING_WITHOUT: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// So many writes a region falls behind.
const BEHIND: u64 = 200;
/// Time for some of their events to be read, which cannot be carried out.
const HELD: Duration = Duration::from_millis(300);

type Member = driver::Member<Order, Word>;

pub(super) struct Scene {
    // Members first: they are dropped before their servers.
    members: Vec<Vec<Member>>,
    births: u64,
    round: u64,
    /// Whether nobody writes until the next round.
    is_held: bool,
    acknowledged: Acknowledged,
    stores: Vec<RedisServer>,
    bus: RedisServer,
    database: RedisServer,
    /// The referee's own way to the bus.
    looker: RedisBus,
    seed: u64,
    without: Without,
    verbose: bool,
}

/// Takes all that the server has. It may still be reading its file.
async fn empty(server: &RedisServer) {
    let mut connection = server.connection().await;
    let flush = redis::cmd("FLUSHALL");
    while flush.query_async::<()>(&mut connection).await.is_err() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Scene {
    pub(super) async fn set(arguments: &Arguments) -> Result<Self, Trouble> {
        let durable = || RedisServer::builder().append_only().start();
        let (east, west, bus) = tokio::join!(durable(), durable(), durable());
        let looker = RedisBus::from_url(&bus.url())?.namespace("regions");
        let mut scene = Self {
            members: Vec::new(),
            births: 0,
            round: 0,
            is_held: false,
            acknowledged: Acknowledged::default(),
            stores: vec![east, west],
            looker: looker.connect().await?,
            bus,
            database: RedisServer::start().await,
            seed: arguments.seed,
            without: arguments.without,
            verbose: arguments.verbose,
        };
        for region in 0..REGIONS.len() {
            let members: Result<_, _> = (0..MEMBERS).map(|_| scene.start(region)).collect();
            scene.members.push(members?);
        }
        Ok(scene)
    }

    fn start(&mut self, region: usize) -> Result<Member, Trouble> {
        self.births += 1;
        let settings = Settings {
            region: REGIONS[region].to_owned(),
            store: self.stores[region].url(),
            bus: self.bus.url(),
            database: self.database.url(),
            seed: self.seed.wrapping_add(self.births << 32),
            round: self.round,
            writes: !self.is_held,
            without: self.without,
            verbose: self.verbose,
        };
        let name = format!("member {} of {}", self.births, REGIONS[region]);
        let acknowledged = self.acknowledged.clone();
        Member::start(ROLE, &name, &settings, move |word| acknowledged.note(word))
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Member> {
        self.members.iter_mut().flatten()
    }

    /// Waits until there are so many acknowledged writes.
    pub(super) async fn written(&mut self, writes: u64) -> Result<(), Trouble> {
        let deadline = Instant::now() + PATIENCE;
        while self.acknowledged.count() < writes {
            if Instant::now() > deadline {
                let count = self.acknowledged.count();
                return Err(format!("only {count} writes after {PATIENCE:?}, not {writes}").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.count()
    }

    /// Has all write other rows: what was written until now nobody writes again, so that no later event makes up for one that was lost.
    pub(super) async fn begin_round(&mut self, round: u64) -> Result<(), Trouble> {
        (self.round, self.is_held) = (round, false);
        for member in self.all() {
            member.tell(Order::Round(round)).await?;
        }
        Ok(())
    }

    /// Has nobody but the region write any more, nor the processes that are started from now on.
    async fn hold_all_but(&mut self, region: usize) -> Result<(), Trouble> {
        self.is_held = true;
        for (other, members) in self.members.iter_mut().enumerate() {
            for member in members.iter_mut().filter(|_| other != region) {
                member.tell(Order::Hold).await?;
                member.hear_of(Word::Held).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn carry_out(&mut self, fault: &Fault) -> Result<(), Trouble> {
        match *fault {
            Fault::KillStore(region, away) => self.kill_store(region, away).await?,
            Fault::LoseStore(region, away) => {
                self.kill_store(region, away).await?;
                empty(&self.stores[region]).await;
            }
            Fault::KillMember(region, member) => {
                self.members[region].remove(member).kill().await?;
                let started = self.start(region)?;
                self.members[region].insert(member, started);
            }
            Fault::KillHolders(region) => self.kill_holders(region).await?,
            Fault::StopBus(away) => {
                self.bus.pause();
                tokio::time::sleep(away).await;
                self.bus.resume();
            }
            Fault::KillBus(away) => {
                self.bus.kill();
                tokio::time::sleep(away).await;
                self.bus.restart().await;
            }
            Fault::LoseBus(region) => self.lose_bus(region).await?,
            Fault::OutlastBus(region) => self.outlast_bus(region).await?,
        }
        Ok(())
    }

    async fn kill_store(&mut self, region: usize, away: Duration) -> Result<(), Trouble> {
        self.stores[region].kill();
        tokio::time::sleep(away).await;
        self.stores[region].restart().await;
        Ok(())
    }

    async fn kill_holders(&mut self, region: usize) -> Result<(), Trouble> {
        // What gathers before the bus comes in few events, which are read at once.
        self.bus.pause();
        tokio::time::sleep(HELD).await;
        // Not stopped: what had been sent to it by then it would do when it goes on.
        self.stores[region].kill();
        self.bus.resume();
        tokio::time::sleep(HELD).await;
        self.hold_all_but(region).await?;
        for member in std::mem::take(&mut self.members[region]) {
            member.kill().await?;
        }
        self.stores[region].restart().await;
        for _ in 0..MEMBERS {
            let started = self.start(region)?;
            self.members[region].push(started);
        }
        Ok(())
    }

    async fn lose_bus(&mut self, region: usize) -> Result<(), Trouble> {
        self.fall_behind(region).await?;
        empty(&self.bus).await;
        self.bus.kill();
        self.bus.restart().await;
        self.resume(region).await
    }

    async fn outlast_bus(&mut self, region: usize) -> Result<(), Trouble> {
        self.fall_behind(region).await?;
        let group = Group::of_region(REGIONS[region])?;
        let strict = Retention {
            age: PATIENCE,
            events: 1,
            silence: PATIENCE,
            every: Duration::from_millis(1),
        };
        let deadline = Instant::now() + PATIENCE;
        // Another process may have trimmed just now: then nobody may for a while.
        while self.looker.backlog(&group).await?.is_some() {
            if Instant::now() > deadline {
                return Err(format!("{group} is still there after {PATIENCE:?}").into());
            }
            self.looker.trim(strict).await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.resume(region).await
    }

    /// Stops the region's processes while others write, who then write no more.
    async fn fall_behind(&mut self, region: usize) -> Result<(), Trouble> {
        self.members[region].iter().try_for_each(Member::stop)?;
        self.written(self.acknowledged() + BEHIND).await?;
        self.hold_all_but(region).await
    }

    async fn resume(&mut self, region: usize) -> Result<(), Trouble> {
        for member in &mut self.members[region] {
            // It finds that soon after it wakes up: few of its rows are written once more.
            member.tell(Order::Hold).await?;
            member.resume()?;
            member.hear_of(Word::Held).await?;
        }
        Ok(())
    }

    /// Has all writing pause, and waits until both regions have done all that the bus has for them.
    pub(super) async fn settle(&mut self) -> Result<(), Trouble> {
        self.is_held = true;
        for member in self.all() {
            member.tell(Order::Hold).await?;
        }
        for member in self.all() {
            member.hear_of(Word::Held).await?;
        }
        let patience = if self.without.any() {
            SETTLING_WITHOUT
        } else {
            SETTLING
        };
        let deadline = Instant::now() + patience;
        while !self.is_settled().await.unwrap_or(false) {
            if Instant::now() > deadline {
                // Not the end: the figures say what that comes to.
                eprintln!("regions: the bus has still something to tell after {patience:?}");
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn is_settled(&self) -> Result<bool, Trouble> {
        for region in REGIONS {
            let group = Group::of_region(region)?;
            match self.looker.backlog(&group).await? {
                Some(backlog) if backlog.events == 0 => {}
                _ => return Ok(false),
            }
            if self.looker.join(&group).await?.is_some() && !self.without.flush {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The sums of what all members did, and the longest of their lags.
    pub(super) async fn figures(&mut self) -> Result<Figures, Trouble> {
        let mut all = Figures::default();
        for member in self.all() {
            member.tell(Order::Report).await?;
            let is_figures = |word| match word {
                Word::Figures(figures) => Some(figures),
                _ => None,
            };
            let one = member.hear(is_figures).await?;
            all.applied += one.applied;
            all.taken_over += one.taken_over;
            all.flushes += one.flushes;
            all.p50 = all.p50.max(one.p50);
            all.p99 = all.p99.max(one.p99);
        }
        Ok(all)
    }

    /// Compares the entries of both regions with what was acknowledged: those of the rows of this round.
    pub(super) async fn compare(&self, found: &mut Found) -> Result<(), Trouble> {
        let first = Row::of_round(self.round, 0);
        let versions = self.acknowledged.versions_from(first.0);
        for (store, region) in self.stores.iter().zip(REGIONS) {
            let cache = Cache::builder().url(&store.url())?.namespace("regions");
            let cache = cache.operation_timeout(PATIENCE).build().await?;
            for (&row, &version) in &versions {
                let entry = cache.scope(member::row::peek(row)).await;
                found.checked += u64::from(entry.is_some());
                if entry.is_some_and(|entry| entry < version) {
                    found.stale += 1;
                    if self.verbose {
                        eprintln!("regions: {region}: row {row}: {entry:?}, not {version}");
                    }
                }
            }
        }
        Ok(())
    }
}
