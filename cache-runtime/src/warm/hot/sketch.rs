//! The sketch: which keys are read most, in bounded memory.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data streams", ICDT 2005): there are
//! `m` counters, and a key that has none takes over the smallest, with its count as the error that its own may have. Of `n` accesses every
//! key with more than `n / m` has a counter. Counts are halved now and then (as in Einziger, Friedman, Manes, "TinyLFU", ACM TOS 2017), so that what was hot
//! last week gives way.

use std::collections::HashMap;

use crate::key::Key;

/// What one access adds. Halved so often, it is still above nothing.
const UNIT: u64 = 1 << 16;

/// Counts are halved after so many accesses for each counter.
const PERIOD: u64 = 16;

/// The hottest keys of one part of the key space.
#[derive(Debug)]
pub(super) struct Sketch {
    /// A heap by count, the smallest first.
    counters: Vec<Counter>,
    places: HashMap<Key, usize>,
    capacity: usize,
    since_halving: u64,
}

#[derive(Debug)]
struct Counter {
    key: Key,
    count: u64,
    /// Of the count, what may be another's.
    error: u64,
}

/// A key with the accesses that it is known to have had, and those that it may have had.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) key: Key,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Sketch {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            counters: Vec::with_capacity(capacity),
            // Room for what is taken out and put in again, so that it never grows.
            places: HashMap::with_capacity(capacity * 2),
            capacity,
            since_halving: 0,
        }
    }

    /// Counts an access.
    pub(super) fn saw(&mut self, key: &Key) {
        self.add(key, UNIT);
        self.since_halving += 1;
        if self.since_halving >= PERIOD * self.capacity as u64 {
            self.since_halving = 0;
            self.halve();
        }
    }

    /// Counts accesses from before.
    pub(super) fn recall(&mut self, key: &Key, accesses: f64) {
        // Saturates, and takes what is no number for none.
        self.add(key, (accesses * UNIT as f64) as u64);
    }

    fn add(&mut self, key: &Key, by: u64) {
        if let Some(&at) = self.places.get(key) {
            self.counters[at].count = self.counters[at].count.saturating_add(by);
            self.sink(at);
        } else if self.counters.len() < self.capacity {
            let at = self.counters.len();
            self.places.insert(key.clone(), at);
            self.counters.push(Counter {
                key: key.clone(),
                count: by,
                error: 0,
            });
            self.rise(at);
        } else if let Some(smallest) = self.counters.first_mut() {
            let error = smallest.count;
            let new = Counter {
                key: key.clone(),
                count: error.saturating_add(by),
                error,
            };
            let old = std::mem::replace(smallest, new);
            self.places.remove(&old.key);
            self.places.insert(key.clone(), 0);
            self.sink(0);
        }
    }

    /// The order stays: of two counts the smaller is not the greater one's half.
    fn halve(&mut self) {
        for counter in &mut self.counters {
            counter.count /= 2;
            counter.error /= 2;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut smallest = at;
            for child in [left, right] {
                if self.count(child) < self.count(smallest) {
                    smallest = child;
                }
            }
            if smallest == at {
                return;
            }
            self.swap(at, smallest);
            at = smallest;
        }
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.count(parent) <= self.count(at) {
                return;
            }
            self.swap(at, parent);
            at = parent;
        }
    }

    /// Beyond the end there is nothing that could be smaller.
    fn count(&self, at: usize) -> u64 {
        self.counters
            .get(at)
            .map_or(u64::MAX, |counter| counter.count)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.counters.swap(a, b);
        for at in [a, b] {
            if let Some(place) = self.places.get_mut(&self.counters[at].key) {
                *place = at;
            }
        }
    }

    /// All keys that have a counter.
    pub(super) fn all(&self) -> impl Iterator<Item = Counted> {
        self.counters.iter().map(|counter| Counted {
            key: counter.key.clone(),
            least: (counter.count - counter.error) as f64 / UNIT as f64,
            most: counter.count as f64 / UNIT as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::from(format!("user:{n}"))
    }

    fn hottest(sketch: &Sketch, most: usize) -> Vec<Key> {
        let mut all: Vec<_> = sketch.all().collect();
        all.sort_by(|a, b| b.least.total_cmp(&a.least));
        all.into_iter()
            .take(most)
            .map(|counted| counted.key)
            .collect()
    }

    /// A key with more than its share of the accesses is there, and its count is never below the truth.
    #[test]
    fn frequent_keys_are_found_among_many_others() {
        let mut sketch = Sketch::new(50);
        for round in 0..700 {
            // A tenth of the accesses for one key, and the others for a stream of keys that never come again.
            sketch.saw(&key(0));
            (1..10).for_each(|n| sketch.saw(&key(round * 10 + n)));
        }
        assert_eq!(hottest(&sketch, 1), [key(0)]);
        assert!(sketch.counters.len() <= 50 && sketch.places.len() <= 50);
    }

    #[test]
    fn counts_are_exact_while_there_are_counters_for_all() {
        let mut sketch = Sketch::new(100);
        for n in 0..20 {
            (0..=n).for_each(|_| sketch.saw(&key(n)));
        }
        for counted in sketch.all() {
            let n: f64 = counted.key["user:".len()..].parse().expect("a number");
            assert_eq!((counted.least, counted.most), (n + 1.0, n + 1.0));
        }
        assert_eq!(hottest(&sketch, 3), [key(19), key(18), key(17)]);
    }

    #[test]
    fn what_was_hot_gives_way() {
        let mut sketch = Sketch::new(10);
        (0..10_000).for_each(|_| sketch.saw(&key(0)));
        (0..2_000).for_each(|_| sketch.saw(&key(1)));
        assert_eq!(hottest(&sketch, 2), [key(1), key(0)]);
    }

    #[test]
    fn the_heap_and_its_index_agree_after_any_accesses() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut sketch = Sketch::new(20);
        for _ in 0..5_000 {
            let n = random.usize(0..60).min(random.usize(0..60));
            sketch.saw(&key(n));
            for (at, counter) in sketch.counters.iter().enumerate() {
                assert_eq!(sketch.places[&counter.key], at);
                assert!(sketch.count(at.saturating_sub(1) / 2) <= counter.count);
            }
        }
    }

    #[test]
    fn accesses_of_before_count_like_new_ones() {
        let mut sketch = Sketch::new(10);
        sketch.recall(&key(1), 2.5);
        sketch.recall(&key(2), f64::INFINITY);
        sketch.recall(&key(3), f64::NAN);
        (0..4).for_each(|_| sketch.saw(&key(4)));
        assert_eq!(hottest(&sketch, 4), [key(2), key(4), key(1), key(3)]);
    }
}
