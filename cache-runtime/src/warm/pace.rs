//! When the next item may begin, where a warm-up has a rate.

use std::time::Duration;

use crate::clock::Moment;

/// A turn that was missed because the timer is coarse, or the items were slow, may be made up for by so much: not by a burst of all that was
/// missed.
const MADE_UP: Duration = Duration::from_millis(10);

/// So many a second, evenly spaced.
#[derive(Debug)]
pub(super) struct Pace {
    between: Duration,
    next: Option<Moment>,
}

impl Pace {
    /// `None`: as fast as it goes.
    pub(super) fn new(per_second: Option<f64>) -> Self {
        Self {
            between: per_second.map_or(Duration::ZERO, |rate| {
                Duration::try_from_secs_f64(rate.recip()).unwrap_or(Duration::MAX)
            }),
            next: None,
        }
    }

    /// When the next turn is.
    pub(super) fn turn(&self, now: Moment) -> Moment {
        self.next.unwrap_or(now)
    }

    /// The turn is taken. The one after it is measured from there.
    pub(super) fn taken(&mut self, now: Moment) {
        let from = self.turn(now).max(now.before(MADE_UP));
        self.next = Some(from.after(self.between));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};

    #[test]
    fn a_rate_is_kept_and_what_was_missed_is_made_up_for_in_part() {
        let clock = ManualClock::new();
        let now = || Clock::from(&clock).now();
        let begin = now();
        let mut pace = Pace::new(Some(1000.0));
        for n in 0..5 {
            assert_eq!(pace.turn(now()).since(begin), Duration::from_millis(n));
            clock.advance(Duration::from_millis(n.min(1)));
            pace.taken(now());
        }
        clock.advance(Duration::from_secs(1));
        let mut late = 0;
        while pace.turn(now()) <= now() {
            pace.taken(now());
            late += 1;
        }
        assert_eq!(late, 11, "the turn of now, and those of ten milliseconds");
    }

    #[test]
    fn without_a_rate_every_turn_is_now() {
        let clock = ManualClock::new();
        let now = || Clock::from(&clock).now();
        let mut pace = Pace::new(None);
        for _ in 0..100 {
            assert!(pace.turn(now()) <= now());
            pace.taken(now());
        }
    }
}
