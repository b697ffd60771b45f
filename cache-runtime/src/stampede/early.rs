//! Which hits load anew before their entry expires: XFetch (Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache
//! Stampede Prevention", VLDB 2015).

use crate::backend::Life;
use crate::random::Random;

/// No draw reaches farther than this many times `delta * beta`: -ln(2^-53) = 36.74.
const REACH: f64 = 37.0;

/// Whether this hit, by its draw, is one that loads: `age + delta * beta * -ln(rand) >= ttl`, where delta is the time that the
/// entry's own load took.
///
/// If calls come often compared with delta, the mean number of loads a generation is e^(1/beta).
#[inline]
pub(crate) fn draws(life: &Life, beta: f64, random: &Random) -> bool {
    let scale = life.load_time as f64 * beta;
    let left = life.ttl.saturating_sub(life.age) as f64;
    if left > scale * REACH {
        return false;
    }
    // From above 0 to 1, both possible ends with a logarithm.
    let share = 1.0 - random.share();
    scale * -share.ln() >= left
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn share_that_draws(left: Duration, delta: Duration, beta: f64) -> f64 {
        let random = Random::seeded(7);
        let ttl = Duration::from_secs(100);
        let life = Life::new(ttl).with_load_time(delta).aged(ttl - left);
        let draws = (0..100_000).filter(|_| draws(&life, beta, &random)).count();
        draws as f64 / 100_000.0
    }

    #[test]
    fn the_share_of_hits_that_load_early_is_as_published() {
        let second = Duration::from_secs(1);
        for (left, beta) in [(0.5, 1.0), (1.0, 1.0), (2.0, 1.0), (1.0, 0.5), (1.0, 2.0)] {
            let expected = f64::exp(-left / beta);
            let found = share_that_draws(second.mul_f64(left), second, beta);
            assert!((found - expected).abs() < 0.01, "{found} for {expected}");
        }
        assert_eq!(share_that_draws(second * 38, second, 1.0), 0.0);
        assert_eq!(share_that_draws(Duration::ZERO, second, 1.0), 1.0);
        assert_eq!(share_that_draws(second, Duration::ZERO, 1.0), 0.0);
    }
}
