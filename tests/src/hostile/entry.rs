//! The bytes of entries: damaged they are a miss, forged they cost no more than they are long.

use std::collections::HashMap;
use std::time::Duration;

use cache_runtime::backend::{Basis, Life, MAX_TAGS, TagVersion};
use cache_runtime::testing::hostile::entry;
use cache_runtime::{CodecKind, Key};
use fastrand::Rng;

use super::mutate::{mutate, noise, pattern};
use super::samples::{CODECS, Value, trees, users};
use super::{Meter, Seen, Target, ensure};

/// What a reader may allocate whatever the length: the root of a value, an error with its words, and what maps make room for at first.
const AT_LEAST: usize = 8 << 10;

/// How often the bytes of an entry may be allocated as elements of the largest size: each byte is one of at most, room for them is made before
/// they are read and again as they become more, and JSON unescapes into a buffer.
const AT_MOST: usize = 4;

/// Entries of several types in every codec.
pub struct Entries {
    types: Vec<Box<dyn Typed>>,
    /// Of all types.
    samples: Vec<Vec<u8>>,
}

/// A type whose entries are read.
trait Typed: Send + Sync {
    fn samples(&self) -> &[Vec<u8>];
    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String>;
}

struct Of<T> {
    fingerprint: u64,
    /// Of the same type with another schema.
    other: u64,
    /// The size of its largest elements.
    element: usize,
    values: Vec<Option<T>>,
    samples: Vec<Vec<u8>>,
    /// The sample's number by all of its bytes that no backend changes.
    kept: HashMap<Vec<u8>, usize>,
}

impl Default for Entries {
    fn default() -> Self {
        Self::new()
    }
}

impl Entries {
    /// Encodes the samples.
    pub fn new() -> Self {
        let types: Vec<Box<dyn Typed>> = vec![
            Box::new(Of::new(users(), 256)),
            Box::new(Of::new(trees(), 64)),
            Box::new(Of::new(vec![vec![(); 1000], vec![]], 1)),
            Box::new(Of::new(vec![vec![[7_u64; 32]; 2], vec![]], 256)),
            Box::new(Of::new(vec![vec![vec![vec![3_u8; 3]; 2]; 2]], 24)),
            Box::new(Of::new(vec!["caf\u{e9} \"\n".repeat(9), String::new()], 1)),
            Box::new(Of::new(vec![0, 1, u64::MAX], 1)),
        ];
        let samples = types.iter().flat_map(|of| of.samples().to_vec()).collect();
        Self { types, samples }
    }

    /// An entry, whole, changed, or made of noise, without the number of its type.
    fn entry(&self, samples: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
        let mut bytes = samples[random.usize(..samples.len())].clone();
        match random.u8(..16) {
            0 => return noise(200, random),
            1 => {
                bytes.truncate(entry::HEADER);
                bytes.extend(noise(120, random));
            }
            2 => {
                bytes.truncate(entry::HEADER);
                bytes.extend(pattern(250, random));
            }
            // What a backend writes into it.
            3 => {
                for place in entry::OF_BACKENDS {
                    bytes[place].fill_with(|| random.u8(..));
                }
            }
            _ => mutate(&mut bytes, &self.samples, random),
        }
        bytes
    }
}

impl Target for Entries {
    fn name(&self) -> &'static str {
        "entries"
    }

    fn make(&self, random: &mut Rng) -> Vec<u8> {
        let number = random.usize(..self.types.len());
        let mut case = vec![number as u8];
        case.extend(self.entry(self.types[number].samples(), random));
        case
    }

    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String> {
        let Some((&number, bytes)) = bytes.split_first() else {
            return Ok(Seen::Refused);
        };
        self.types[usize::from(number) % self.types.len()].check(bytes, meter)
    }
}

fn lives() -> [Life; 2] {
    let long = Life::new(Duration::from_secs(300))
        .with_soft(Some(Duration::from_millis(60_500)))
        .with_load_time(Duration::from_micros(12_345));
    [long, Life::new(Duration::from_millis(1))]
}

fn bases() -> [Basis; 2] {
    let tagged = Basis {
        since: Some(TagVersion::from_number(7)),
        tags: ["org:7", "kind:a", ""].map(Key::from).into_iter().collect(),
    };
    let plain = Basis {
        since: None,
        tags: Default::default(),
    };
    [tagged, plain]
}

/// The bytes without what a backend writes into them.
fn kept(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for place in entry::OF_BACKENDS {
        if let Some(place) = bytes.get_mut(place) {
            place.fill(0);
        }
    }
    bytes
}

impl<T: Value + Clone> Of<T> {
    fn new(values: Vec<T>, element: usize) -> Self {
        let fingerprint = entry::fingerprint::<T>(0);
        let values = values.into_iter().map(Some).chain([None]);
        let (mut all, mut samples, mut places) = (Vec::new(), Vec::new(), HashMap::new());
        for value in values {
            for codec in CODECS {
                for (life, basis) in lives().into_iter().zip(bases()) {
                    let bytes = entry::write(value.as_ref(), fingerprint, codec, life, basis);
                    let bytes = bytes.expect("the samples can be written");
                    places.insert(kept(&bytes), all.len());
                    all.push(value.clone());
                    samples.push(bytes);
                }
            }
        }
        Self {
            fingerprint,
            other: entry::fingerprint::<T>(1),
            element,
            values: all,
            samples,
            kept: places,
        }
    }

    fn read(&self, bytes: &[u8], meter: Meter) -> Result<Option<(Option<T>, Life)>, String> {
        let most = AT_LEAST + AT_MOST * self.element.max(8) * bytes.len();
        meter.read(most, || entry::read(bytes, self.fingerprint).ok())
    }

    /// As they are: the value that was written, or a miss.
    fn check_plain(&self, bytes: &[u8], meter: Meter) -> Result<bool, String> {
        let read = self.read(bytes, meter)?;
        let sample = self.kept.get(&kept(bytes));
        match (&read, sample) {
            (None, None) => {}
            (Some((value, _)), Some(&number)) => {
                let expected = &self.values[number];
                ensure(value == expected, || {
                    format!("{value:?} was read, {expected:?} written")
                })?;
            }
            (Some((value, _)), None) => return Err(format!("damage was read as {value:?}")),
            (None, Some(_)) => return Err("a sound entry was missed".to_owned()),
        }
        let as_other = entry::read::<T>(bytes, self.other);
        ensure(as_other.is_err(), || {
            "it was read under another schema".to_owned()
        })?;
        Ok(read.is_some())
    }

    /// With header and checksum made right: what is read of it can be written, and is read again.
    fn check_sealed(&self, bytes: &[u8], meter: Meter) -> Result<bool, String> {
        let mut sealed = bytes.to_vec();
        entry::seal(&mut sealed, self.fingerprint);
        let Some((value, life)) = self.read(&sealed, meter)? else {
            return Ok(false);
        };
        let codec = codec_of(&sealed);
        let basis = entry::basis(&sealed).unwrap_or_default();
        let write = |value: &Option<T>| {
            entry::write(value.as_ref(), self.fingerprint, codec, life, basis.clone())
        };
        // A codec may refuse to write what it reads, such as a depth or a number that others cannot.
        let Ok(written) = write(&value) else {
            return Ok(true);
        };
        let Some((again, _)) = self.read(&written, meter)? else {
            return Err(format!("{value:?} was read, and once written is a miss"));
        };
        // By their bytes: not a number is not equal to itself.
        let rewritten = write(&again).map_err(|error| error.to_string())?;
        ensure(rewritten == written, || {
            format!("{value:?} became {again:?}")
        })?;
        Ok(true)
    }
}

fn codec_of(bytes: &[u8]) -> CodecKind {
    let number = bytes.get(4).map_or(0, |&number| usize::from(number));
    CODECS[number.saturating_sub(1).min(CODECS.len() - 1)]
}

impl<T: Value + Clone> Typed for Of<T> {
    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String> {
        // What a backend looks at before anybody has looked at the checksum.
        let basis = meter.read(AT_LEAST + 160 * bytes.len(), || entry::basis(bytes))?;
        let tags = basis.map_or(0, |basis| basis.tags.as_slice().len());
        ensure(tags <= MAX_TAGS, || format!("{tags} tags were read"))?;
        let is_accepted = self.check_plain(bytes, meter)?;
        let is_sealed = self.check_sealed(bytes, meter)?;
        Ok(match (is_accepted, is_sealed) {
            (true, _) => Seen::Accepted,
            (false, true) => Seen::OnceSealed,
            (false, false) => Seen::Refused,
        })
    }
}
