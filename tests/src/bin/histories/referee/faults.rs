//! What is done to servers and processes, and what the checker is told of it.

use std::time::{Duration, Instant};

use tests::driver::Trouble;
use tests::{Proxy, RedisServer};

use super::plan::{Fault, Sort};
use super::scene::{Scene, durable_redis};
use crate::checker::{Effect, Message, Window};
use crate::clock::Moment;
use crate::keys::RowId;
use crate::member::INTENT;
use crate::words::{Order, Word};

/// How long a copy may take until it has all: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// An intent is renewed after a third of its time, and clients take a moment to connect again: one that nobody could renew for longer than this may have expired.
const RENEWED: Duration = Duration::from_millis(INTENT.as_millis() as u64 / 3);

impl Scene<'_> {
    pub(super) async fn carry_out(&mut self, fault: &Fault) -> Result<(), Trouble> {
        match *fault {
            Fault::Redis(sort, time) => self.redis(sort, time).await,
            Fault::ClientKilled(place) => self.kill_client(place).await,
            Fault::ClientStopped(place, asleep) => self.stop_client(place, asleep).await,
            Fault::PostgresRestarted(away) => {
                self.begin_window(Moment::now());
                self.postgres.kill();
                tokio::time::sleep(away).await;
                self.postgres.restart().await;
                self.end_window(Effect::Nothing);
                Ok(())
            }
            Fault::Failover(behind, away) => self.fail_over(behind, away).await,
        }
    }

    fn begin_window(&self, from: Moment) {
        self.checker.tell(Message::Begun(Window {
            effect: Effect::Nothing,
            from,
            to: Moment::NEVER,
        }));
    }

    fn end_window(&self, effect: Effect) {
        self.checker.tell(Message::Over(effect, Moment::now()));
    }

    async fn redis(&mut self, sort: Sort, time: Duration) -> Result<(), Trouble> {
        let began = Instant::now();
        self.begin_window(Moment::now());
        match sort {
            Sort::RedisKilled => {
                self.redis.kill();
                tokio::time::sleep(time).await;
                self.redis.restart().await;
            }
            Sort::RedisLost => {
                self.redis.kill();
                tokio::time::sleep(time).await;
                self.redis.restart_empty().await;
            }
            Sort::RedisFlushed => {
                let () = self.redis.query(&redis::cmd("FLUSHALL")).await;
            }
            Sort::RedisHung | Sort::RedisHungLong => {
                self.redis.pause();
                tokio::time::sleep(time).await;
                self.redis.resume();
            }
            Sort::RepliesLost => {
                self.proxy.hang_replies();
                tokio::time::sleep(time).await;
                self.proxy.cut();
            }
            _ => {
                self.proxy.cut();
                tokio::time::sleep(time).await;
                self.proxy.cut();
            }
        }
        let effect = match sort {
            Sort::RedisLost | Sort::RedisFlushed => Effect::Lost,
            Sort::Cut => Effect::Nothing,
            _ if began.elapsed() > RENEWED => Effect::Silent,
            _ => Effect::Nothing,
        };
        self.end_window(effect);
        Ok(())
    }

    /// Has a member halt one of its writes between commit and invalidation.
    async fn halt(&mut self, place: usize) -> Result<(RowId, u64), Trouble> {
        let (_, member) = &mut self.members[place];
        member.tell(Order::Halt).await?;
        let halted = |word| match word {
            Word::Halted { row, version } => Some((row, version)),
            _ => None,
        };
        member.hear(halted).await
    }

    async fn kill_client(&mut self, place: usize) -> Result<(), Trouble> {
        self.begin_window(Moment::now());
        let (row, version) = self.halt(place).await?;
        let (_, member) = self.members.remove(place);
        member.kill().await?;
        let at = Moment::now();
        self.checker.tell(Message::Killed { row, version, at });
        let (birth, mut member) = self.start()?;
        member.tell(Order::Begin).await?;
        self.members.insert(place, (birth, member));
        self.end_window(Effect::Nothing);
        Ok(())
    }

    async fn stop_client(&mut self, place: usize, asleep: Duration) -> Result<(), Trouble> {
        self.halt(place).await?;
        self.begin_window(Moment::now());
        let (birth, member) = &mut self.members[place];
        let birth = *birth;
        member.stop()?;
        tokio::time::sleep(asleep).await;
        member.resume()?;
        member.tell(Order::Release).await?;
        self.end_window(Effect::Stopped(birth));
        Ok(())
    }

    async fn fail_over(&mut self, behind: Duration, away: Duration) -> Result<(), Trouble> {
        let copy = durable_redis().await;
        let copying = Proxy::before(&self.redis).await;
        let address = copying.url();
        let port = address.trim_end_matches('/').rsplit(':').next();
        let port = port.ok_or("a proxy without a port")?;
        let mut follow = redis::cmd("REPLICAOF");
        let () = copy.query(follow.arg("127.0.0.1").arg(port)).await;
        let since = self.copied(&copy).await?;
        self.begin_window(since);
        copying.hang();
        tokio::time::sleep(behind).await;
        self.redis.kill();
        let killed = Moment::now();
        tokio::time::sleep(away).await;
        let mut lead = redis::cmd("REPLICAOF");
        let () = copy.query(lead.arg("NO").arg("ONE")).await;
        self.proxy.turn_to(&copy);
        self.redis = copy;
        self.end_window(Effect::Failover { killed });
        Ok(())
    }

    /// Waits until the copy has all that the server had at some moment, and returns that.
    async fn copied(&self, copy: &RedisServer) -> Result<Moment, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let since = Moment::now();
            let ahead = replicated(&self.redis, "master_repl_offset:").await;
            let up = replication(copy).await.contains("master_link_status:up");
            if up && replicated(copy, "slave_repl_offset:").await >= ahead {
                return Ok(since);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(format!("the copy of Redis was not complete after {PATIENCE:?}").into())
    }
}

async fn replication(server: &RedisServer) -> String {
    server.query(redis::cmd("INFO").arg("replication")).await
}

/// An offset in the stream of changes.
async fn replicated(server: &RedisServer, name: &str) -> u64 {
    let info = replication(server).await;
    let offset = info
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    offset.unwrap_or(0)
}
