//! What the process holds at a moment.

use std::fs;

use redis::cmd;
use tests::RedisServer;
use tokio::runtime::Handle;

/// Memory, tasks, files and connections.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gauges {
    /// Resident, in KiB.
    pub(crate) memory: u64,
    /// Tasks that are alive in the runtime of caches and callers.
    pub(crate) tasks: usize,
    /// Open files, sockets among them.
    pub(crate) files: usize,
}

impl Gauges {
    pub(crate) fn read(runtime: &Handle) -> Self {
        Self {
            memory: resident(),
            tasks: runtime.metrics().num_alive_tasks(),
            files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        }
    }
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The connections that the server has, but for the one that asks.
pub(crate) async fn connections(server: &RedisServer) -> usize {
    let list: String = server.query(cmd("CLIENT").arg("LIST")).await;
    list.lines().count().saturating_sub(1)
}
