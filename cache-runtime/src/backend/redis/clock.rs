//! What the server's clock says now, without asking it each time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::Value;

use crate::backend::Encoded;

/// After this time the server is asked again, with the next read: its clock may have been set.
const TRUSTED: Duration = Duration::from_secs(1);

/// Whoever asks may be dropped before the answer comes: then another asks after this time.
const PATIENCE: Duration = Duration::from_millis(100);

/// The clock of the server of one connection: a sample of it, carried on by this machine's monotonic clock.
///
/// The estimate runs from when the sample was asked for, so it is ahead by at most the time that the answer took, and never behind.
#[derive(Debug)]
pub(super) struct ServerClock {
    /// Our own times count from here.
    base: Instant,
    /// The server's time less ours, in microseconds. Zero for none: no server lives in 1970.
    ahead: AtomicU64,
    /// When the sample was asked for, and when anybody last asked for one. Our time, in microseconds.
    sampled: AtomicU64,
    asked: AtomicU64,
}

impl ServerClock {
    pub(super) fn new() -> Self {
        Self {
            base: Instant::now(),
            ahead: AtomicU64::new(0),
            sampled: AtomicU64::new(0),
            asked: AtomicU64::new(0),
        }
    }

    /// Whether the caller is to ask the server for its time. Without a sample everybody is, else one at a time.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        if self.ahead.load(Ordering::Relaxed) == 0 {
            return true;
        }
        let now = self.ours(now);
        if now.saturating_sub(self.sampled.load(Ordering::Relaxed)) < micros(TRUSTED) {
            return false;
        }
        let asked = self.asked.load(Ordering::Relaxed);
        now.saturating_sub(asked) >= micros(PATIENCE)
            && self
                .asked
                .compare_exchange(asked, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Takes what the server answered to a `TIME` that was sent not before `sent`. Anything else is no sample.
    pub(super) fn note(&self, reply: &Value, sent: Instant) {
        if let Some(theirs) = micros_of(reply) {
            let ours = self.ours(sent);
            self.ahead
                .store(theirs.saturating_sub(ours), Ordering::Relaxed);
            self.sampled.store(ours, Ordering::Relaxed);
        }
    }

    /// The server's time at this moment.
    pub(super) fn at(&self, moment: Instant) -> ServerTime {
        match self.ahead.load(Ordering::Relaxed) {
            0 => ServerTime(u64::MAX),
            ahead => ServerTime(ahead.saturating_add(self.ours(moment))),
        }
    }

    fn ours(&self, moment: Instant) -> u64 {
        micros(moment.saturating_duration_since(self.base))
    }
}

/// A time of the server's clock, in microseconds. One that is not known is the last there can be: an entry of unknown age is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerTime(u64);

impl ServerTime {
    /// From what a script calls now, in whole milliseconds, and the time since then.
    pub(super) fn of_script(millis: i64, since: Duration) -> Self {
        let begun = u64::try_from(millis).unwrap_or(0).saturating_add(1);
        Self(begun.saturating_mul(1000).saturating_add(micros(since)))
    }

    /// The entry with its age at this time.
    pub(super) fn age(self, bytes: Vec<u8>) -> Encoded {
        let mut entry = Encoded::new(bytes.into());
        if let Some(stamp) = entry.stamp() {
            entry.age = self.since(stamp.saturating_mul(1000));
        }
        entry
    }

    /// How long ago a time was that the server told in microseconds. One from the future is of a clock that was set back.
    pub(super) fn since(self, micros: u64) -> Duration {
        Duration::from_micros(self.0.saturating_sub(micros))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What `TIME` answers: seconds and microseconds, as text.
fn micros_of(reply: &Value) -> Option<u64> {
    let Value::Array(parts) = reply else {
        return None;
    };
    let [seconds, micros] = parts.as_slice() else {
        return None;
    };
    let number = |part: &Value| match part {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    number(seconds)?
        .checked_mul(1_000_000)?
        .checked_add(number(micros)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: u64, micros: u64) -> Value {
        let text = |number: u64| Value::BulkString(number.to_string().into_bytes());
        Value::Array(vec![text(seconds), text(micros)])
    }

    /// An entry with this stamp.
    fn entry(stamp: u64) -> Vec<u8> {
        [&b"ENTRY\0\0\0"[..], &stamp.to_le_bytes(), b"body"].concat()
    }

    fn age(clock: &ServerClock, stamp: u64, moment: Instant) -> Duration {
        clock.at(moment).age(entry(stamp)).age
    }

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn an_age_runs_from_when_the_sample_was_asked_for() {
        let clock = ServerClock::new();
        let sent = clock.base + MILLI * 5;
        clock.note(&time(1000, 250_000), sent);
        assert_eq!(age(&clock, 1_000_200, sent), MILLI * 50);
        assert_eq!(age(&clock, 1_000_200, sent + MILLI * 7), MILLI * 57);
        assert_eq!(age(&clock, 1_000_300, sent), Duration::ZERO);
        assert_eq!(age(&clock, u64::MAX, sent), Duration::ZERO);
        assert_eq!(
            clock.at(sent).age(b"too short".to_vec()).age,
            Duration::ZERO
        );
    }

    #[test]
    fn without_a_sample_everything_is_too_old() {
        let clock = ServerClock::new();
        for odd in [Value::Nil, Value::Array(vec![]), time(u64::MAX, 1)] {
            clock.note(&odd, clock.base);
        }
        assert!(clock.is_due(clock.base) && clock.is_due(clock.base));
        assert!(age(&clock, 1_000_000, clock.base) > Duration::from_secs(1 << 40));
    }

    #[test]
    fn one_at_a_time_asks_again_after_a_second() {
        let clock = ServerClock::new();
        clock.note(&time(1000, 0), clock.base);
        assert!(!clock.is_due(clock.base + TRUSTED - MILLI));
        let later = clock.base + TRUSTED;
        assert!(clock.is_due(later));
        assert!(!clock.is_due(later + PATIENCE - MILLI));
        assert!(clock.is_due(later + PATIENCE));
        clock.note(&time(1002, 0), later);
        assert!(!clock.is_due(later + PATIENCE * 2));
    }
}
