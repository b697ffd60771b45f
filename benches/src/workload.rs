//! The value and the order of keys that the suites share.

use hitbox_fn::CacheableResponse;
use serde::{Deserialize, Serialize};

/// About 134 bytes once it is written: what a row of a users' table comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheableResponse)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) address: String,
    pub(crate) version: u64,
}

impl User {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            name: format!("Ada Lovelace the {id:06}th"),
            email: format!("ada.lovelace.{id:06}@example.com"),
            address: format!("{id:06} Analytical Engine Row, Marylebone, London W1U, England"),
            version: 1,
        }
    }
}

/// `calls` keys below `keys`, the most popular being 0, with P(rank) ~ 1 / rank^0.99. The same on every machine.
pub(crate) fn zipf(keys: usize, calls: usize) -> Vec<u64> {
    let mut total = 0.0;
    let cumulated: Vec<f64> = (1..=keys)
        .map(|rank| {
            total += (rank as f64).powf(-0.99);
            total
        })
        .collect();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..calls)
        .map(|_| {
            let point = random.unit() * total;
            cumulated.partition_point(|&sum| sum < point).min(keys - 1) as u64
        })
        .collect()
}

/// xorshift64*: enough to draw keys, and the same sequence everywhere.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_about_134_bytes() {
        let bytes = postcard::to_allocvec(&User::new(123_456)).expect("a user can be written");
        assert!((124..=144).contains(&bytes.len()), "{} bytes", bytes.len());
    }

    #[test]
    fn low_keys_are_the_popular_ones() {
        let order = zipf(1_000, 100_000);
        let share =
            |key| order.iter().filter(|&&drawn| drawn == key).count() as f64 / order.len() as f64;
        assert!((0.12..0.15).contains(&share(0)), "{}", share(0));
        assert!(share(0) > share(1) && share(1) > share(10));
        assert!(order.iter().all(|&key| key < 1_000));
    }
}
