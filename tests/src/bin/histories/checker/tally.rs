//! What the checker has found.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use serde::Serialize;

/// What is known while it goes on.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) checked: AtomicU64,
    pub(super) violations: AtomicU64,
}

/// What one failover has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Failover {
    /// For how long the copy was behind when the server was killed.
    pub(crate) behind_ms: u64,
    /// Writes that had returned meanwhile: what they had told the server was lost.
    pub(crate) writes_lost: Option<u64>,
    /// Reads that were below their floor for that reason, and how long after the failover the last of them began.
    pub(crate) stale_reads: u64,
    pub(crate) stale_for_ms: u64,
}

/// The checker's figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Checked reads by mode.
    pub(crate) reads: BTreeMap<&'static str, u64>,
    pub(crate) writes: u64,
    /// Reads that took too long to be checked.
    pub(crate) unchecked: u64,
    /// Reads below their floor, excused ones included.
    pub(crate) below: u64,
    pub(crate) violations: BTreeMap<&'static str, u64>,
    pub(crate) excused: BTreeMap<&'static str, u64>,
    /// Of `eventual` and `fenced`: reads of a session that returned less than an earlier one of it. Neither promises that it does not happen before the newer write has
    /// returned.
    pub(crate) went_back: BTreeMap<&'static str, u64>,
    pub(crate) failovers: Vec<Failover>,
    /// The first read of each reason, in full.
    pub(crate) told_of_excused: BTreeMap<&'static str, String>,
    /// The first violations, in full.
    pub(crate) told: Vec<String>,
}
