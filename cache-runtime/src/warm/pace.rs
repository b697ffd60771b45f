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

    /// Takes the next turn: when it is.
    pub(super) fn turn(&mut self, now: Moment) -> Moment {
        let turn = match self.next {
            Some(next) => next.max(now.before(MADE_UP)),
            None => now,
        };
        self.next = Some(turn.after(self.between));
        turn
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
        }
        clock.advance(Duration::from_secs(1));
        let late = (0..100).filter(|_| pace.turn(now()) <= now()).count();
        assert_eq!(late, 11, "the turn of now, and those of ten milliseconds");
    }

    #[test]
    fn without_a_rate_every_turn_is_now() {
        let clock = ManualClock::new();
        let now = || Clock::from(&clock).now();
        let mut pace = Pace::new(None);
        assert!((0..100).all(|_| pace.turn(now()) <= now()));
    }
}
