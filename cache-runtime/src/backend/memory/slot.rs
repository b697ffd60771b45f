//! One value as the in-memory backend keeps it.

use std::time::Duration;

use super::tags::Since;
use crate::backend::stored::nanos;
use crate::backend::{Life, SharedValue, Typed};
use crate::clock::Moment;

/// One value with its times.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) value: SharedValue,
    stored: Moment,
    ttl: u64,
    /// How long it is kept past its TTL, in milliseconds; what is longer than 49 days is for ever.
    kept_past: u32,
    /// When it is to be refreshed, in milliseconds after it was stored; `NO_SOFT` for never.
    soft: u32,
    pub(super) weight: u32,
    /// Microseconds. Longer loads than an hour are told as one.
    load_time: u32,
    pub(super) since: Since,
}

const NO_SOFT: u32 = u32::MAX;

impl Slot {
    pub(super) fn new(
        typed: Typed,
        keep: Duration,
        stored: Moment,
        weight: u32,
        since: Since,
    ) -> Self {
        let Typed { value, life, .. } = typed;
        let past = keep.saturating_sub(life.ttl());
        Self {
            value,
            stored,
            ttl: nanos(life.ttl().min(keep)),
            kept_past: u32::try_from(past.as_millis()).unwrap_or(u32::MAX),
            soft: life.soft().map_or(NO_SOFT, |soft| {
                u32::try_from(soft.as_millis()).unwrap_or(NO_SOFT)
            }),
            weight,
            load_time: u32::try_from(life.load_time().as_micros()).unwrap_or(u32::MAX),
            since,
        }
    }

    #[inline]
    pub(super) fn fresh_until(&self) -> Moment {
        self.stored.after_nanos(self.ttl)
    }

    #[inline]
    pub(super) fn kept_until(&self) -> Moment {
        let past = match self.kept_past {
            u32::MAX => u64::MAX,
            ms => u64::from(ms) * 1_000_000,
        };
        self.fresh_until().after_nanos(past)
    }

    /// The same value, as it is when it is stored now.
    pub(super) fn stored_at(&self, now: Moment, since: Since) -> Self {
        Self {
            stored: now,
            since,
            ..self.clone()
        }
    }

    #[inline]
    pub(super) fn into_typed(self, now: Moment) -> Typed {
        let life = Life {
            ttl: self.ttl,
            soft: if self.soft == NO_SOFT {
                u64::MAX
            } else {
                u64::from(self.soft) * 1_000_000
            },
            load_time: u64::from(self.load_time) * 1000,
            age: now.nanos_since(self.stored),
        };
        Typed::new(self.value, life)
    }
}
