//! The records of the write-behind log: damaged they are refused, forged they cost no more than they are long.

use std::collections::HashMap;

use cache_runtime::testing::hostile::record;
use fastrand::Rng;

use super::mutate::{mutate, noise, pattern};
use super::samples::{CODECS, Tree, User, trees, users};
use super::{Meter, Seen, Target, ensure};

type Arguments = (u64, User, Option<Vec<Tree>>, String);

const FINGERPRINT: u64 = 0x1234_5678_9abc_def0;

/// As of entries: the largest elements are 250 bytes.
const AT_LEAST: usize = 8 << 10;
const AT_MOST: usize = 1024;

pub(super) struct Records {
    samples: Vec<Vec<u8>>,
    arguments: HashMap<Vec<u8>, Arguments>,
}

impl Records {
    pub(super) fn new() -> Self {
        let lists = users().into_iter().zip([None, Some(trees())]);
        let lists = lists.map(|(user, trees)| (7, user, trees, "x".repeat(70)));
        let mut arguments = HashMap::new();
        for list in lists {
            for codec in CODECS {
                let bytes = record::write(&list, FINGERPRINT, codec);
                let bytes = bytes.expect("the samples can be written");
                arguments.insert(bytes, list.clone());
            }
        }
        let mut samples: Vec<_> = arguments.keys().cloned().collect();
        samples.sort_unstable();
        Self { samples, arguments }
    }
}

fn read(bytes: &[u8], meter: Meter) -> Result<Option<Arguments>, String> {
    let most = AT_LEAST + AT_MOST * bytes.len();
    meter.read(most, || record::read(bytes, FINGERPRINT).ok())
}

impl Target for Records {
    fn name(&self) -> &'static str {
        "records"
    }

    fn make(&self, random: &mut Rng) -> Vec<u8> {
        let mut bytes = self.samples[random.usize(..self.samples.len())].clone();
        match random.u8(..12) {
            0 => return noise(200, random),
            1 => {
                bytes.truncate(record::HEADER);
                bytes.extend(noise(120, random));
            }
            2 => {
                bytes.truncate(record::HEADER);
                bytes.extend(pattern(250, random));
            }
            3 => {}
            _ => mutate(&mut bytes, &self.samples, random),
        }
        bytes
    }

    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String> {
        let plain = read(bytes, meter)?;
        let written = self.arguments.get(bytes);
        ensure(plain.as_ref() == written, || {
            format!("{plain:?} was read, {written:?} written")
        })?;
        let other = record::read::<Arguments>(bytes, FINGERPRINT + 1);
        ensure(other.is_err(), || {
            "it was read as of other arguments".to_owned()
        })?;
        let whatever = record::read_any::<Arguments>(bytes).ok();
        // The names are not asked for here, but the checksum is over them.
        ensure(whatever == plain, || {
            format!("{whatever:?} was read by shape")
        })?;
        if plain.is_some() {
            return Ok(Seen::Accepted);
        }
        let mut sealed = bytes.to_vec();
        record::seal(&mut sealed, FINGERPRINT);
        Ok(match read(&sealed, meter)? {
            Some(_) => Seen::OnceSealed,
            None => Seen::Refused,
        })
    }
}
