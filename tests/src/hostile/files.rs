//! The files of warm-up: a segment of an access log, and the hottest keys.

use std::collections::HashSet;
use std::time::Duration;

use cache_runtime::Key;
use cache_runtime::testing::hostile::{hot, segment};
use fastrand::Rng;

use super::mutate::{mutate, noise};
use super::{Meter, Seen, Target, ensure};

const NAMES: [&str; 5] = ["user:1", "", "caf\u{e9}:with:a:longer:name", "a", "k:%3A"];

/// A key of a byte is kept in 80, and the list grows by doubling.
const AT_LEAST: usize = 4 << 10;
const AT_MOST: usize = 320;

fn case(samples: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut bytes = samples[random.usize(..samples.len())].clone();
    match random.u8(..12) {
        0 => return noise(200, random),
        1 => {}
        _ => mutate(&mut bytes, samples, random),
    }
    bytes
}

fn names(count: usize) -> impl Iterator<Item = (u64, Key)> {
    let names = NAMES.into_iter().cycle().take(count).enumerate();
    names.map(move |(number, name)| ((number * 1000 + count) as u64, Key::from(name)))
}

pub(super) struct Segments {
    samples: Vec<Vec<u8>>,
    /// Every record of the samples.
    records: HashSet<(Duration, Key)>,
}

impl Segments {
    pub(super) fn new() -> Self {
        let (mut samples, mut records) = (Vec::new(), HashSet::new());
        for count in [1, 2, 5, 20] {
            let mut bytes = Vec::new();
            for (micros, key) in names(count) {
                segment::write(&mut bytes, micros, &key);
                records.insert((Duration::from_micros(micros), key));
            }
            samples.push(bytes);
        }
        Self { samples, records }
    }
}

impl Target for Segments {
    fn name(&self) -> &'static str {
        "segments"
    }

    fn make(&self, random: &mut Rng) -> Vec<u8> {
        case(&self.samples, random)
    }

    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String> {
        let read = |bytes: Vec<u8>| {
            let most = AT_LEAST + AT_MOST * bytes.len();
            meter.read(most, || segment::read(bytes))
        };
        let plain = read(bytes.to_vec())?;
        for record in plain.iter().flat_map(|(records, _)| records) {
            ensure(self.records.contains(record), || {
                format!("{record:?} was never written")
            })?;
        }
        let mut sealed = bytes.to_vec();
        segment::seal(&mut sealed);
        let forged = read(sealed)?;
        let count = |read: Option<(Vec<_>, u64)>| read.map_or(0, |(records, _)| records.len());
        Ok(match (count(plain), count(forged)) {
            (1.., _) => Seen::Accepted,
            (0, 1..) => Seen::OnceSealed,
            (0, 0) => Seen::Refused,
        })
    }
}

pub(super) struct HotKeys(Vec<Vec<u8>>);

impl HotKeys {
    pub(super) fn new() -> Self {
        let keys = |count| names(count).map(|(number, key)| (key, number as f64));
        let files = [0, 1, 5, 20].map(|count| hot::write(&keys(count).collect::<Vec<_>>()));
        Self(files.into())
    }
}

impl Target for HotKeys {
    fn name(&self) -> &'static str {
        "hot_keys"
    }

    fn make(&self, random: &mut Rng) -> Vec<u8> {
        case(&self.0, random)
    }

    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String> {
        let read = |bytes: &[u8]| {
            let most = AT_LEAST + AT_MOST * bytes.len();
            meter.read(most, || hot::read(bytes))
        };
        let plain = read(bytes)?;
        let is_sample = self.0.iter().any(|sample| sample == bytes);
        ensure(plain.is_some() == is_sample, || {
            format!("it was read as {plain:?}, and is a sample: {is_sample}")
        })?;
        if is_sample {
            return Ok(Seen::Accepted);
        }
        let mut sealed = bytes.to_vec();
        hot::seal(&mut sealed);
        let Some(keys) = read(&sealed)? else {
            return Ok(Seen::Refused);
        };
        let again = hot::write(&keys);
        ensure(
            hot::read(&again).is_some_and(|read| same(&read, &keys)),
            || format!("{keys:?} are not read again once they are written"),
        )?;
        Ok(Seen::OnceSealed)
    }
}

/// By their bits: not a number is not equal to itself.
fn same(one: &[(Key, f64)], other: &[(Key, f64)]) -> bool {
    let bits = |keys: &[(Key, f64)]| -> Vec<_> {
        keys.iter()
            .map(|(key, accesses)| (key.clone(), accesses.to_bits()))
            .collect()
    };
    bits(one) == bits(other)
}
