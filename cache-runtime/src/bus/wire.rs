//! Events as bytes.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version of the format |
//! | 1 | what it is: 0 keys, 1 tags, 2 everything; with 128 if it is for its origin too |
//! | n | how long it had waited, in milliseconds |
//! | n | the length of the origin's name |
//! | … | the origin's name |
//! | n | the number of keys or tags, but for "everything" |
//! | … | each of them: its length, as n, and its bytes |
//!
//! Numbers, the n, are in groups of seven bits, the lowest first, each byte but the last with its highest bit set.

use std::time::Duration;

use super::event::{Event, Group, What};
use crate::key::Key;

const VERSION: u8 = 1;

const KEYS: u8 = 0;
const TAGS: u8 = 1;
const EVERYTHING: u8 = 2;
const FOR_ORIGIN: u8 = 1 << 7;

/// The longest name of an origin: more than any region's with a process.
const LONGEST_NAME: usize = 255;

pub(super) fn write(event: &Event) -> Vec<u8> {
    let (kind, keys) = match &event.what {
        What::Keys(keys) => (KEYS, Some(keys)),
        What::Tags(tags) => (TAGS, Some(tags)),
        What::Everything => (EVERYTHING, None),
    };
    let flag = if event.is_for_origin { FOR_ORIGIN } else { 0 };
    let mut bytes = vec![VERSION, kind | flag];
    let waited = event.waited.as_millis();
    number(&mut bytes, u64::try_from(waited).unwrap_or(u64::MAX));
    text(&mut bytes, event.origin.as_str().as_bytes());
    if let Some(keys) = keys {
        number(&mut bytes, keys.len() as u64);
        for key in keys {
            text(&mut bytes, key.as_bytes());
        }
    }
    bytes
}

fn number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn text(bytes: &mut Vec<u8>, text: &[u8]) {
    number(bytes, text.len() as u64);
    bytes.extend_from_slice(text);
}

pub(super) fn read(bytes: &[u8]) -> Option<Event> {
    let mut rest = Rest(bytes);
    if rest.byte()? != VERSION {
        return None;
    }
    let kind = rest.byte()?;
    let waited = Duration::from_millis(rest.number()?);
    let origin = rest.text()?;
    if origin.is_empty() || origin.len() > LONGEST_NAME {
        return None;
    }
    let what = match kind & !FOR_ORIGIN {
        KEYS => What::Keys(rest.keys()?),
        TAGS => What::Tags(rest.keys()?),
        EVERYTHING => What::Everything,
        _ => return None,
    };
    // More than it says would be of a version that forgot to say so.
    rest.0.is_empty().then(|| Event {
        origin: Group::named(origin),
        is_for_origin: kind & FOR_ORIGIN != 0,
        waited,
        what,
    })
}

/// What has not been read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn keys(&mut self) -> Option<Vec<Key>> {
        let count = usize::try_from(self.number()?).ok()?;
        // Each takes a byte at least: no more room is made than there are bytes for.
        if count > self.0.len() {
            return None;
        }
        (0..count).map(|_| self.text().map(Key::from)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Event> {
        let long = "k".repeat(300);
        let keys = |names: &[&str]| names.iter().copied().map(Key::from).collect();
        let whats = [
            What::Everything,
            What::Keys(Vec::new()),
            What::Keys(keys(&["user:42", "", "schlüssel", &long])),
            What::Tags(keys(&["org:1"])),
        ];
        let event = |(at, what)| Event {
            origin: Group::of_region("eu-1").expect("a good name"),
            is_for_origin: at % 2 == 0,
            waited: Duration::from_millis(at as u64 * 1000),
            what,
        };
        whats.into_iter().enumerate().map(event).collect()
    }

    #[test]
    fn reads_what_it_wrote() {
        for event in samples() {
            assert_eq!(read(&write(&event)), Some(event));
        }
    }

    #[test]
    fn the_layout_is_as_documented() {
        let event = Event {
            origin: Group::of_region("eu").expect("a good name"),
            is_for_origin: true,
            waited: Duration::from_millis(300),
            what: What::Keys(vec!["a:1".into()]),
        };
        assert_eq!(write(&event), b"\x01\x80\xac\x02\x02eu\x01\x03a:1");
    }

    #[test]
    fn what_is_cut_or_continued_is_no_event() {
        for event in samples() {
            let mut bytes = write(&event);
            for length in 0..bytes.len() {
                assert_eq!(read(&bytes[..length]), None, "{length} of {event:?}");
            }
            bytes.push(0);
            assert_eq!(read(&bytes), None);
        }
    }

    #[test]
    fn any_bytes_can_be_looked_at() {
        let mut random = fastrand::Rng::with_seed(1);
        for event in samples() {
            let bytes = write(&event);
            for _ in 0..2000 {
                let mut bytes = bytes.clone();
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
                let _ = read(&bytes);
            }
        }
        // A number of keys, and the length of one, beyond all memory.
        let beyond = [&[0xff; 9][..], &[1]].concat();
        assert_eq!(read(&[b"\x01\x00\x00\x02eu", &beyond[..]].concat()), None);
        assert_eq!(
            read(&[b"\x01\x00\x00\x02eu\x01", &beyond[..]].concat()),
            None
        );
        assert_eq!(read(&[b"\x01\x00", &[0xff; 10][..]].concat()), None);
    }
}
