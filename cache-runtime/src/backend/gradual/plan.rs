//! A roll-out by steps, with a check after each, and back at once on trouble.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::rollout::{Rollout, RolloutError, RolloutStatus, SideStats};

/// A roll-out by steps. Made by [`Rollout::plan`].
///
/// ```no_run
/// use std::time::Duration;
/// # use cache_runtime::backend::gradual::Rollout;
///
/// # async fn example(rollout: Rollout) {
/// let plan = rollout.plan().steps([0.01, 0.05, 0.25, 1.0]).hold(Duration::from_secs(600));
/// let report = plan.max_error_rate(0.001).min_hit_ratio(0.8).run().await;
/// println!("{report}");
/// # }
/// ```
#[must_use = "a plan does nothing until `run`"]
#[derive(Debug)]
pub struct Plan {
    rollout: Rollout,
    steps: Vec<f64>,
    hold: Duration,
    max_error_rate: f64,
    min_hit_ratio: f64,
    min_reads: u64,
}

impl Plan {
    pub(super) fn new(rollout: Rollout) -> Self {
        Self {
            rollout,
            steps: vec![0.01, 0.05, 0.25, 0.5, 1.0],
            hold: Duration::from_secs(60),
            max_error_rate: 0.01,
            min_hit_ratio: 0.0,
            min_reads: 100,
        }
    }

    /// Sets the shares, one after another. Default 1%, 5%, 25%, 50%, 100%.
    pub fn steps(mut self, shares: impl IntoIterator<Item = f64>) -> Self {
        self.steps = shares.into_iter().collect();
        self
    }

    /// Sets how long each share is held before it is judged. Default a minute. Take long enough for the new backend to fill: keys that have just moved are not
    /// there.
    pub fn hold(mut self, time: Duration) -> Self {
        self.hold = time;
        self
    }

    /// Sets the share of the new backend's operations in a step that may fail or take too long. Past it the roll-out ends, without waiting for the end of the step. Default 1%.
    pub fn max_error_rate(mut self, share: f64) -> Self {
        self.max_error_rate = share;
        self
    }

    /// Sets the hit ratio that the new backend is to have in the second half of each step. Default 0: it is not looked at.
    pub fn min_hit_ratio(mut self, share: f64) -> Self {
        self.min_hit_ratio = share;
        self
    }

    /// Sets how many look-ups of this process a judgement takes; with fewer the step goes on. Default 100.
    pub fn min_reads(mut self, reads: u64) -> Self {
        self.min_reads = reads;
        self
    }

    /// Runs it to the end, or to the first trouble: then all keys go back to the old backend at once. Trouble is what this process sees: the new backend fails some
    /// operations in a row, or an invalidation; or a step is judged not good enough. Or it is that another process has ended the roll-out.
    ///
    /// Dropped, it leaves the share as it is.
    pub async fn run(self) -> RolloutReport {
        let mut report = RolloutReport::default();
        for &share in &self.steps {
            match self.step(share, &mut report).await {
                Ok(()) => {}
                Err(trouble) => {
                    if let Err(error) = self.rollout.withdraw().await {
                        tracing::warn!(%error, "other processes could not be told that the roll-out has ended");
                    }
                    tracing::warn!(share, trouble, "a roll-out by steps ends");
                    report.trouble = Some(trouble);
                    return report;
                }
            }
        }
        report
    }

    /// Grows to the share, holds it, and judges it.
    async fn step(&self, share: f64, report: &mut RolloutReport) -> Result<(), String> {
        self.grow(share).await.map_err(|error| error.to_string())?;
        let began = Instant::now();
        let before = self.rollout.status();
        let mut half = None;
        let tick = (self.hold / 20).clamp(Duration::from_millis(1), Duration::from_secs(1));
        loop {
            tokio::time::sleep(tick).await;
            let now = self.rollout.status();
            let held = began.elapsed();
            let whole = now.new.since(before.new);
            self.watch(share, &before, &now, whole)?;
            if half.is_none() && held >= self.hold / 2 {
                half = Some((now.old, now.new));
            }
            let Some((old, new)) = half else {
                continue;
            };
            let step = StepReport {
                share,
                held,
                old: now.old.since(old),
                new: now.new.since(new),
                errors: whole.errors,
            };
            if held >= self.hold && (step.new.reads >= self.min_reads || share <= 0.0) {
                let verdict = self.judge(&step);
                tracing::info!(%step, "a step of a roll-out has been held");
                report.steps.push(step);
                return verdict;
            }
        }
    }

    /// Another process may be at it in this moment.
    async fn grow(&self, share: f64) -> Result<(), RolloutError> {
        let mut tries = 0;
        loop {
            match self.rollout.grow_to(share).await {
                Err(RolloutError::Contested) if tries < 3 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                grown => return grown,
            }
        }
    }

    fn watch(
        &self,
        share: f64,
        before: &RolloutStatus,
        now: &RolloutStatus,
        whole: SideStats,
    ) -> Result<(), String> {
        if now.endings > before.endings {
            return Err(now.trouble.clone().unwrap_or_default());
        }
        if (now.share - share).abs() > f64::EPSILON {
            return Err(
                "it was ended or changed by another hand, or the cache was cleared".to_owned(),
            );
        }
        if whole.operations >= self.min_reads && whole.error_rate() > self.max_error_rate {
            return Err(format!(
                "{} of {} operations of the new backend failed",
                whole.errors, whole.operations
            ));
        }
        Ok(())
    }

    fn judge(&self, step: &StepReport) -> Result<(), String> {
        if step.share > 0.0 && step.new.hit_ratio() < self.min_hit_ratio {
            return Err(format!(
                "the hit ratio of the new backend is {:.1}%, and was to be {:.1}%",
                step.new.hit_ratio() * 100.0,
                self.min_hit_ratio * 100.0
            ));
        }
        Ok(())
    }
}

/// A step that was held to its end.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StepReport {
    /// The share of the keys.
    pub share: f64,
    /// How long it was held.
    pub held: Duration,
    /// What the old backend was asked in its second half.
    pub old: SideStats,
    /// What the new backend was asked in its second half.
    pub new: SideStats,
    /// The operations of the new backend that failed, in all of it.
    pub errors: u64,
}

impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1}% of the keys for {:.1?}: hit ratio {:.1}% (old backend {:.1}%), {} errors",
            self.share * 100.0,
            self.held,
            self.new.hit_ratio() * 100.0,
            self.old.hit_ratio() * 100.0,
            self.errors
        )
    }
}

/// What a roll-out by steps came to.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RolloutReport {
    /// The steps that were held to their end, in order. The last of them is the one that was not good enough, where it was that.
    pub steps: Vec<StepReport>,
    /// Why all keys went back to the old backend; `None` if the last step was reached and held.
    pub trouble: Option<String>,
}

impl fmt::Display for RolloutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        match &self.trouble {
            None => f.write_str("complete"),
            Some(trouble) => write!(f, "ended, all keys are the old backend's: {trouble}"),
        }
    }
}
