//! Keys: two argument lists never share one, and what a key says is read back, and written again the same.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::Arc;

use cache_runtime::testing::hostile::template::Parsed;
use cache_runtime::{FromKeyPart, Key, KeyPart, KeyText, KeyWriter};
use fastrand::Rng;

use super::mutate::noise;
use super::source::Source;
use super::{Meter, Seen, Target, ensure};

/// Of the text of a key as bytes: parsed, each level of a type makes a list of its parts and writes them again.
const AT_LEAST: usize = 4 << 10;
const AT_MOST: usize = 256;

const TEMPLATE: &str = "of:<a>:<b>-<<<c>*<d>:<e>:<f>/x";

type Arguments = (
    String,
    Option<Option<String>>,
    Vec<(u64, Option<char>)>,
    (i128, bool, Option<IpAddr>),
    BTreeSet<String>,
    Vec<Vec<Option<Box<str>>>>,
);

/// Pairs of argument lists, told from the two halves of the bytes.
pub(super) struct Keys;

fn arguments(bytes: &[u8]) -> Arguments {
    let mut source = Source(bytes);
    let source = &mut source;
    (
        source.text(6),
        source.option(|source| source.option(|source| source.text(3))),
        source.list(3, |source| {
            (source.number(), source.option(|source| source.character()))
        }),
        (
            i128::from(source.number() as i64) * i128::from(source.number()),
            source.byte() & 1 == 1,
            source.option(|source| match source.byte() & 1 {
                0 => IpAddr::from((source.number() as u32).to_be_bytes()),
                _ => IpAddr::from((u128::from(source.number()) << 64).to_be_bytes()),
            }),
        ),
        source
            .list(3, |source| source.text(3))
            .into_iter()
            .collect(),
        source.list(2, |source| {
            source.list(2, |source| source.option(|source| source.text(2).into()))
        }),
    )
}

/// A literal, and what writes the value after it.
type Part<'a> = (&'a str, &'a dyn Fn(&mut KeyWriter));

/// As the macros write it for [`TEMPLATE`].
fn key(arguments: &Arguments) -> Key {
    let mut writer = KeyWriter::new();
    let (a, b, c, d, e, f) = arguments;
    let parts: [Part<'_>; 6] = [
        ("of:", &|key| a.write_key(key)),
        (":", &|key| b.write_key(key)),
        ("-<", &|key| c.write_key(key)),
        ("*", &|key| d.write_key(key)),
        (":", &|key| e.write_key(key)),
        (":", &|key| f.write_key(key)),
    ];
    for (literal, part) in parts {
        writer.literal(literal);
        part(&mut writer);
    }
    writer.literal("/x");
    writer.finish()
}

fn read(template: &Parsed, key: &Key) -> Option<Arguments> {
    let values = template.values(key)?;
    let [a, b, c, d, e, f] = &values[..] else {
        return None;
    };
    Some((
        a.parse()?,
        b.parse()?,
        c.parse()?,
        d.parse()?,
        e.parse()?,
        f.parse()?,
    ))
}

/// Reads the text as a value of the type: what there is must be written like that.
fn parse<T: FromKeyPart>(text: &str, meter: Meter) -> Result<bool, String> {
    let most = AT_LEAST + AT_MOST * text.len();
    let Some(value) = meter.read(most, || KeyText::new(text).parse::<T>())? else {
        return Ok(false);
    };
    let mut writer = KeyWriter::new();
    writer.part(&value);
    let written = writer.finish();
    ensure(written == text, || {
        format!("{text:?} was read as what is written {written:?}")
    })?;
    Ok(true)
}

type Reader = fn(&str, Meter) -> Result<bool, String>;

/// Reads it as values of many types.
fn parse_all(text: &str, meter: Meter) -> Result<bool, String> {
    let readers: [Reader; 14] = [
        parse::<u8>,
        parse::<i64>,
        parse::<NonZero<u128>>,
        parse::<bool>,
        parse::<char>,
        parse::<String>,
        parse::<Key>,
        parse::<IpAddr>,
        parse::<Option<Option<Option<String>>>>,
        parse::<Vec<Vec<Option<Arc<str>>>>>,
        parse::<BTreeSet<(u8, String)>>,
        parse::<[Option<i8>; 2]>,
        parse::<(Vec<()>, String)>,
        parse::<Arguments>,
    ];
    let mut is_one = false;
    for reader in readers {
        is_one |= reader(text, meter)?;
    }
    Ok(is_one)
}

impl Target for Keys {
    fn name(&self) -> &'static str {
        "keys"
    }

    /// Halves that differ in little.
    fn make(&self, random: &mut Rng) -> Vec<u8> {
        let mut half = noise(60, random);
        let first = half.clone();
        for _ in 0..random.usize(0..3) {
            let at = random.usize(..=half.len());
            if let Some(byte) = half.get_mut(at) {
                *byte = byte.wrapping_add(random.u8(1..8));
            }
        }
        if random.u8(..4) == 0 {
            let at = random.usize(..=half.len());
            half[at..].fill_with(|| random.u8(..));
        }
        [first, half].concat()
    }

    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String> {
        let (one, other) = bytes.split_at(bytes.len() / 2);
        let (one, other) = (arguments(one), arguments(other));
        let (key_of_one, key_of_other) = (key(&one), key(&other));
        ensure((one == other) == (key_of_one == key_of_other), || {
            format!("{one:?} and {other:?} have the keys {key_of_one:?} and {key_of_other:?}")
        })?;
        let template = Parsed::of(TEMPLATE);
        let most = AT_LEAST + AT_MOST * key_of_one.as_bytes().len();
        let again = meter.read(most, || read(&template, &key_of_one))?;
        ensure(again.as_ref() == Some(&one), || {
            format!("{one:?} has the key {key_of_one:?}, which is read as {again:?}")
        })?;
        // The same in one value: a tuple is a part like any other.
        let mut writer = KeyWriter::new();
        writer.part(&one);
        ensure(parse_all(writer.key(), meter)?, || {
            format!("{one:?} is read as nothing")
        })?;
        // And what nobody wrote: a text of the same characters, and the bytes as they are.
        let mut source = Source(bytes);
        parse_all(&source.text(40), meter)?;
        let is_one = parse_all(&String::from_utf8_lossy(bytes), meter)?;
        Ok(Seen::of(is_one || one != other))
    }
}
