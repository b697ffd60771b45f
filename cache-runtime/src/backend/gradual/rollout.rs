//! Growing and ending a roll-out by hand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;

use super::permit::{self, Permit};
use super::plan::Plan;
use super::sides::{Sides, Tally};
use crate::backend::{Lease, LeaseMode, Token};
use crate::error::{BackendError, BackendErrorKind};

/// To empty a backend of many entries takes its time.
const EMPTIED: Duration = Duration::from_secs(60);
/// Anything else, while nobody waits for it.
const ASKED: Duration = Duration::from_secs(5);
/// How often the share is written anew where another process has changed it in between.
const TRIES: usize = 5;

/// Why a roll-out could not be grown or ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum RolloutError {
    /// The share is no number from 0 to 1.
    Share(f64),
    /// One of the backends failed.
    Backend(BackendError),
    /// Another process grows or has ended the roll-out at this moment, or could not tell the new backend of a write. Nothing has been moved.
    Contested,
}

impl fmt::Display for RolloutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "the share {share} is not between 0 and 1"),
            Self::Backend(error) => write!(f, "the roll-out stays as it is: {error}"),
            Self::Contested => f.write_str(
                "the roll-out stays as it is: another process grows or ends it, or could not tell the new backend of a write; try again",
            ),
        }
    }
}

impl std::error::Error for RolloutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Backend(error) => Some(error),
            Self::Share(_) | Self::Contested => None,
        }
    }
}

impl From<BackendError> for RolloutError {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

/// What was asked of one of the two backends, by this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SideStats {
    /// Look-ups.
    pub reads: u64,
    /// Of these, those that found a value.
    pub hits: u64,
    /// Operations of all kinds; counted for the new backend alone.
    pub operations: u64,
    /// Of these, those that failed or took too long.
    pub errors: u64,
}

impl SideStats {
    fn of(tally: &Tally) -> Self {
        Self {
            reads: tally.reads.load(Ordering::Relaxed),
            hits: tally.hits.load(Ordering::Relaxed),
            operations: tally.operations.load(Ordering::Relaxed),
            errors: tally.errors.load(Ordering::Relaxed),
        }
    }

    /// What was asked since.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            reads: self.reads.saturating_sub(before.reads),
            hits: self.hits.saturating_sub(before.hits),
            operations: self.operations.saturating_sub(before.operations),
            errors: self.errors.saturating_sub(before.errors),
        }
    }

    /// The share of the look-ups that found a value; 0 where there were none.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        self.hits as f64 / self.reads.max(1) as f64
    }

    /// The share of the operations that failed; 0 where there were none.
    #[must_use]
    pub fn error_rate(&self) -> f64 {
        self.errors as f64 / self.operations.max(1) as f64
    }
}

/// Where a roll-out is, as this process sees it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RolloutStatus {
    /// The share of the keys that are the new backend's.
    pub share: f64,
    /// What the old backend was asked.
    pub old: SideStats,
    /// What the new backend was asked.
    pub new: SideStats,
    /// How often this process has ended the roll-out because of trouble.
    pub endings: u64,
    /// What the last trouble was.
    pub trouble: Option<String>,
}

/// Grows and ends the roll-out of a [`Gradual`](super::Gradual) backend. Its clones are the same roll-out.
///
/// What one process does here holds for all that have the same two backends: the share is kept in the old one, and each process follows within a
/// quarter of a second.
#[derive(Debug, Clone)]
pub struct Rollout(pub(super) Arc<Sides>);

impl Rollout {
    /// Gives this share of the keys, from 0 to 1, to the new backend. Which keys these are depends on them alone: a greater share has those of a smaller
    /// one, and all processes agree.
    ///
    /// Where no roll-out is under way the new backend is emptied first: it may have missed anything up to now.
    ///
    /// # Errors
    ///
    /// [`RolloutError`]: then the share is as it was.
    pub async fn grow_to(&self, share: f64) -> Result<(), RolloutError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(RolloutError::Share(share));
        }
        let sides = &self.0;
        for _ in 0..TRIES {
            let found = in_time(ASKED, sides.old.get(permit::key())).await?;
            let mode = found.as_ref().map_or(LeaseMode::IfMissing, |found| {
                LeaseMode::IfStill(found.mark())
            });
            let before = found.as_ref().and_then(Permit::read);
            if before.is_some_and(|before| sides.route.has_ended(before)) {
                // It could not be taken away then, and the new backend has missed something.
                in_time(ASKED, sides.withdraw()).await?;
                continue;
            }
            // As long as the new backend is being emptied. Whoever takes the permit away ends this too.
            let ttl = EMPTIED + ASKED + sides.settle;
            let making = Making::new(sides);
            let asked = sides.old.lease(permit::key(), &[], making.token, ttl, mode);
            match in_time(ASKED, asked).await? {
                Lease::Granted(_) => return self.give(before, share, making).await,
                // Changed in between.
                Lease::Hit(_) => making.over(),
                Lease::Busy(..) | Lease::Bypass(..) => {
                    making.over();
                    break;
                }
            }
        }
        Err(RolloutError::Contested)
    }

    /// Gives the permit, under the lease that its making is allowed by.
    async fn give(
        &self,
        before: Option<Permit>,
        share: f64,
        making: Making,
    ) -> Result<(), RolloutError> {
        let sides = &self.0;
        let permit = match before {
            Some(before) => Permit { share, ..before },
            None => {
                self.empty().await?;
                Permit::new(share)
            }
        };
        let stored = permit.store(sides.old.format());
        let given = sides
            .old
            .fill(permit::key(), making.token, stored, permit::KEPT);
        let given = in_time(ASKED, given).await?;
        making.over();
        if !given {
            return Err(RolloutError::Contested);
        }
        if before.is_none() {
            sides.recovered();
        }
        sides.route.learn(Some(permit));
        tracing::info!(
            share,
            "the roll-out of a cache backend is at this share of the keys"
        );
        Ok(())
    }

    /// Empties the new backend, and waits until every write that it was not told of has said so.
    async fn empty(&self) -> Result<(), BackendError> {
        // One that does not answer is found out sooner than by that.
        in_time(ASKED, self.0.new.ping()).await?;
        in_time(EMPTIED, self.0.new.clear()).await?;
        tokio::time::sleep(self.0.settle).await;
        Ok(())
    }

    /// Gives all keys back to the old backend, at once and for all processes: no read that begins when this has returned `Ok` uses the new one.
    ///
    /// # Errors
    ///
    /// [`RolloutError::Backend`] if the old backend cannot be told. In this process all keys are its all the same.
    pub async fn withdraw(&self) -> Result<(), RolloutError> {
        Ok(in_time(ASKED, self.0.withdraw()).await?)
    }

    /// Where it is.
    #[must_use]
    pub fn status(&self) -> RolloutStatus {
        let (endings, trouble) = self.0.endings();
        RolloutStatus {
            share: self.0.route.share(),
            old: SideStats::of(&self.0.of_old),
            new: SideStats::of(&self.0.of_new),
            endings,
            trouble,
        }
    }

    /// Grows by steps, each of them checked before the next.
    pub fn plan(&self) -> Plan {
        Plan::new(self.clone())
    }
}

/// A permit that is being made, by the lease of its entry. Dropped on the way, it gives the lease back, so that another may be made.
struct Making {
    sides: Arc<Sides>,
    token: Token,
    under_way: bool,
}

impl Making {
    fn new(sides: &Arc<Sides>) -> Self {
        Self {
            sides: sides.clone(),
            token: Token::fresh(),
            under_way: true,
        }
    }

    fn over(mut self) {
        self.under_way = false;
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if !self.under_way {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (sides, token) = (self.sides.clone(), self.token);
            runtime.spawn(async move {
                // At worst it ends by its expiry.
                let _ = in_time(ASKED, sides.old.release(permit::key(), token)).await;
            });
        }
    }
}

async fn in_time<T>(
    limit: Duration,
    operation: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    let late = |_| {
        let detail = format!("no answer within {limit:?}");
        Err(BackendError::new(BackendErrorKind::Timeout, detail))
    };
    tokio::time::timeout(limit, operation)
        .await
        .unwrap_or_else(late)
}
