//! What happens to Redis, one thing after another.

use std::time::Duration;

use fastrand::Rng;
use redis::cmd;
use tests::{Proxy, RedisServer};

/// Between two faults at most, and half of that at least.
const PAUSE: Duration = Duration::from_secs(8);

/// So long a fault lasts at most.
const LASTS: Duration = Duration::from_secs(2);

const FAULTS: [Fault; 10] = [
    Fault::Hung,
    Fault::Mute,
    Fault::Stranded,
    Fault::Cut,
    Fault::Refused,
    Fault::Slow,
    Fault::Stopped,
    Fault::Flushed,
    Fault::Killed,
    Fault::Disconnected,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Neither requests nor replies go through.
    Hung,
    /// Requests go through, and replies do not.
    Mute,
    /// The connections there are pass nothing on any more; new ones do.
    Stranded,
    /// The connections end.
    Cut,
    /// New ones end, too.
    Refused,
    /// Requests are late.
    Slow,
    /// The server is stopped (SIGSTOP).
    Stopped,
    /// It forgets all, its scripts too.
    Flushed,
    /// It is killed, and started again.
    Killed,
    /// It ends the connections.
    Disconnected,
}

/// Does one after another, each once in ten, until the time is over. Says how many.
pub(crate) async fn trouble(
    server: &mut RedisServer,
    proxy: &Proxy,
    mut random: Rng,
    time: Duration,
) -> u64 {
    let end = tokio::time::Instant::now() + time;
    let (mut order, mut count) = (Vec::new(), 0);
    loop {
        let pause = PAUSE.mul_f64(0.5 + random.f64() / 2.0);
        if tokio::time::Instant::now() + pause + LASTS > end {
            tokio::time::sleep_until(end).await;
            return count;
        }
        tokio::time::sleep(pause).await;
        if order.is_empty() {
            order = FAULTS.to_vec();
            random.shuffle(&mut order);
        }
        if let Some(fault) = order.pop() {
            tracing::info!(?fault, "begins");
            fault.happens(server, proxy, &mut random).await;
            tracing::info!(?fault, "is over");
            count += 1;
        }
    }
}

impl Fault {
    async fn happens(self, server: &mut RedisServer, proxy: &Proxy, random: &mut Rng) {
        let for_a_while = tokio::time::sleep(LASTS.mul_f64(random.f64()));
        match self {
            Self::Hung => proxy.hang(),
            Self::Mute => proxy.hang_replies(),
            Self::Stranded => proxy.strand(),
            Self::Cut => return proxy.cut(),
            Self::Refused => proxy.refuse(),
            Self::Slow => proxy.delay(Duration::from_millis(random.u64(5..100))),
            Self::Stopped => server.pause(),
            Self::Killed => server.kill(),
            Self::Flushed => {
                let () = server.query(&cmd("FLUSHALL")).await;
                let () = server.query(cmd("SCRIPT").arg("FLUSH")).await;
                return;
            }
            Self::Disconnected => return server.disconnect_clients().await,
        }
        for_a_while.await;
        match self {
            Self::Stopped => server.resume(),
            Self::Killed => server.restart().await,
            _ => proxy.pass(),
        }
    }
}
