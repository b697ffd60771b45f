//! What Redis answers of the log: a reply of any form is an entry or none.

use cache_runtime::testing::hostile::reply;
use fastrand::Rng;
use redis::{Value, VerbatimFormat};

use super::mutate::{mutate, noise};
use super::source::Source;
use super::{Meter, Seen, Target, ensure};

const DEEPEST: usize = 6;

/// Replies told from bytes: those of a real entry, changed.
pub(super) struct Replies;

/// The bytes that [`value`] reads as this.
fn bulk(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend([2, text.len() as u8]);
    bytes.extend(text);
}

fn entry(random: &mut Rng) -> Vec<u8> {
    let (function, key) = (
        ["f", "app::save_user", ""],
        ["k", "user:42", "caf\u{e9}", ""],
    );
    let (function, key) = (function[random.usize(..3)], key[random.usize(..4)]);
    let head = format!("{} {} {function}{key}", random.u32(..), function.len());
    let mut bytes = vec![3, 2];
    bulk(&mut bytes, format!("{}-0", random.u64(..)).as_bytes());
    bytes.extend([3, 6]);
    bulk(&mut bytes, b"h");
    bulk(&mut bytes, head.as_bytes());
    bulk(&mut bytes, b"a");
    bulk(&mut bytes, &noise(40, random));
    bulk(&mut bytes, b"v");
    bulk(&mut bytes, &noise(20, random));
    bytes
}

fn value(source: &mut Source<'_>, depth: usize) -> Value {
    let parts = |source: &mut Source<'_>, most| {
        let count = if depth == 0 { 0 } else { source.below(most) };
        let parts =
            (0..count).map_while(|_| (!source.is_empty()).then(|| value(source, depth - 1)));
        parts.collect::<Vec<_>>()
    };
    match source.below(10) {
        1 => Value::Int(source.number() as i64),
        2 => Value::BulkString(source.bytes(255)),
        3 => Value::Array(parts(source, 16)),
        4 => {
            let mut parts = parts(source, 16).into_iter();
            let pairs = std::iter::from_fn(|| Some((parts.next()?, parts.next()?)));
            Value::Map(pairs.collect())
        }
        5 => Value::SimpleString(source.text(20)),
        6 => Value::VerbatimString {
            format: VerbatimFormat::Text,
            text: source.text(20),
        },
        7 => Value::Boolean(source.byte() & 1 == 1),
        8 => Value::Set(parts(source, 8)),
        9 => Value::Okay,
        _ => Value::Nil,
    }
}

/// Whether the text ends a text somewhere in the reply.
fn ends_one(value: &Value, text: &str) -> bool {
    match value {
        Value::BulkString(bytes) => bytes.ends_with(text.as_bytes()),
        Value::SimpleString(whole) | Value::VerbatimString { text: whole, .. } => {
            whole.ends_with(text)
        }
        Value::Array(parts) | Value::Set(parts) => parts.iter().any(|part| ends_one(part, text)),
        Value::Map(pairs) => pairs
            .iter()
            .any(|(name, part)| ends_one(name, text) || ends_one(part, text)),
        _ => false,
    }
}

impl Target for Replies {
    fn name(&self) -> &'static str {
        "replies"
    }

    fn make(&self, random: &mut Rng) -> Vec<u8> {
        let mut bytes = entry(random);
        if random.u8(..16) == 0 {
            return noise(100, random);
        }
        let other = entry(random);
        mutate(&mut bytes, &[other], random);
        bytes
    }

    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String> {
        let reply = value(&mut Source(bytes), DEEPEST);
        let copy = reply.clone();
        let read = meter.read((4 << 10) + 64 * bytes.len(), || reply::entry(reply))?;
        let Some((function, key, arguments)) = read else {
            return Ok(Seen::Refused);
        };
        let head = format!("{function}{key}");
        ensure(head.is_empty() || ends_one(&copy, &head), || {
            format!("{function:?} and {key:?} are in no text of {copy:?}")
        })?;
        ensure(arguments.len() <= bytes.len(), || {
            "arguments were made up".to_owned()
        })?;
        Ok(Seen::of(!head.is_empty()))
    }
}
