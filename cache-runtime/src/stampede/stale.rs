//! How good an entry still is, and how long a new one is to live.

use std::time::Duration;

use super::early;
use crate::backend::Life;
use crate::cache::Inner;
use crate::mutants::{self, Mutant};
use crate::shape::Shape;
use crate::spec::Spec;

/// How good an entry is to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// To be served.
    Fresh,
    /// To be served, and it is noted that it was: it is replaced ahead of its time as long as it is read.
    Watched,
    /// To be served while it is replaced (`swr`, and what is replaced ahead of its time if that is late).
    Old,
    /// To be replaced by this very call, by its draw (`early`); good until that is done.
    Drawn,
    /// Past its TTL: only to be served if its load fails.
    Expired,
}

/// Judges an entry for a call of the function.
#[inline]
pub(crate) fn judge(spec: &Spec, inner: &Inner, life: &Life) -> Freshness {
    if life.is_expired() && !mutants::on(Mutant::ExpiredServed) {
        return Freshness::Expired;
    }
    if spec.hits_are_final() {
        return Freshness::Fresh;
    }
    judge_age(spec, inner, life)
}

fn judge_age(spec: &Spec, inner: &Inner, life: &Life) -> Freshness {
    let mode = spec.stampede_mode();
    let drawn = mode.is_early() && early::draws(life, spec.beta_factor(), &inner.random);
    let ahead = spec.refreshes_ahead();
    if !mode.is_swr() && !ahead {
        return if drawn {
            Freshness::Drawn
        } else {
            Freshness::Fresh
        };
    }
    // Of an entry that another function has stored only this one knows when it is to be refreshed.
    let soft = life.soft().or(spec.refresh_after());
    if drawn || soft.is_some_and(|soft| life.age() >= soft) {
        Freshness::Old
    } else if ahead {
        Freshness::Watched
    } else {
        Freshness::Fresh
    }
}

/// Whether an entry past its TTL may be served because its load failed.
pub(crate) fn may_stand_in(spec: &Spec, life: &Life) -> bool {
    let past = life.age().saturating_sub(life.ttl());
    !life.is_expired()
        || past < spec.stale_if_error()
        || mutants::on(Mutant::OldValueStandsInForever)
}

/// The times of a new entry, and for how long the backend is to keep it. `None`: it is not to be stored.
pub(crate) fn life_of<S: Shape>(
    spec: &Spec,
    inner: &Inner,
    shape: S,
    value: Option<&S::Value>,
    load_time: Duration,
) -> Option<(Life, Duration)> {
    let own = || spec.ttl().unwrap_or(inner.settings.default_ttl);
    let whole = match value {
        Some(value) => shape.ttl_of(value).unwrap_or_else(|| Some(own())),
        None if mutants::on(Mutant::AbsenceStoredUnasked) => Some(own()),
        None => spec.negative_ttl(),
    };
    let whole = whole.filter(|ttl| !ttl.is_zero())?;
    // Shorter, never longer: the TTL is a promise of how old a value can be.
    let part = match spec.jitter_share() {
        0.0 => 1.0,
        _ if mutants::on(Mutant::JitterIgnored) => 1.0,
        share => 1.0 - share * inner.random.share(),
    };
    let ttl = part_of(whole, part);
    let soft = spec.refresh_after().map(|soft| part_of(soft, part));
    let life = Life::new(ttl)
        .with_soft(soft.filter(|soft| *soft < ttl))
        .with_load_time(load_time);
    // What says that there is none is not worth more than an error.
    let past = value.map_or(Duration::ZERO, |_| spec.stale_if_error());
    Some((life, ttl.saturating_add(past)))
}

/// At least a millisecond, the least that remote entries can say, unless the whole is less.
fn part_of(whole: Duration, part: f64) -> Duration {
    if part >= 1.0 {
        return whole;
    }
    let least = whole.min(Duration::from_millis(1));
    whole.mul_f64(part).clamp(least, whole)
}
