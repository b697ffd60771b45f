//! What every codec keeps, what each refuses, and what hostile bytes cost.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::*;

fn built() -> impl Iterator<Item = CodecKind> {
    [
        CodecKind::Bincode,
        CodecKind::Postcard,
        CodecKind::MsgPack,
        CodecKind::Json,
    ]
    .into_iter()
    .filter(|kind| has(*kind))
}

fn binary() -> impl Iterator<Item = CodecKind> {
    built().filter(|kind| *kind != CodecKind::Json)
}

fn there_and_back<T>(kind: CodecKind, value: &T) -> Result<T, CodecError>
where
    T: Serialize + DeserializeOwned,
{
    let mut bytes = Vec::new();
    encode(kind, value, &mut bytes)?;
    decode(kind, &bytes)
}

fn kept<T>(value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    for kind in built() {
        let read = there_and_back(kind, value);
        assert_eq!(&read.expect("kept"), value, "{kind:?}");
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newtype(Option<i64>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair(u8, String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Empty,
    One(Newtype),
    Two(u8, i128),
    Named { at: char, unit: Unit },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tree {
    name: String,
    children: Vec<Tree>,
    next: Option<Box<Tree>>,
}

/// Bytes as bytes, not as a sequence of numbers.
#[derive(Debug, Clone, PartialEq)]
struct Raw(Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsRaw;
        impl<'de> serde::de::Visitor<'de> for AsRaw {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Raw, E> {
                Ok(Raw(bytes.to_vec()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Raw(bytes))
            }
        }
        deserializer.deserialize_byte_buf(AsRaw)
    }
}

#[test]
fn every_codec_keeps_plain_types() {
    kept(&(u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    kept(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    kept(&(i128::MAX, 0_u128, -1_i128, true));
    kept(&['\0', 'a', 'ß', '\u{10ffff}']);
    kept(&(String::new(), "\0\u{1}\"\\ü\u{1f980}".to_owned()));
    kept(&((), Unit, [(); 3], Vec::<()>::new()));
    kept(&Raw(vec![0, 1, 254, 255]));
    kept(&(
        Duration::new(7, 999_999_999),
        "::1".parse::<IpAddr>().expect("address"),
    ));
    kept(&vec![Some(Newtype(Some(-5))), Some(Newtype(Some(0))), None]);
    kept(&vec![
        Kind::Empty,
        Kind::One(Newtype(None)),
        Kind::Two(3, i128::MIN),
        Kind::Named {
            at: 'x',
            unit: Unit,
        },
    ]);
    kept(&Pair(1, "x".repeat(70_000)));
    kept(&vec![(); 1000]);
    let leaf = Tree {
        name: "leaf".into(),
        children: vec![],
        next: None,
    };
    kept(&Tree {
        name: "root".into(),
        children: vec![leaf.clone(); 3],
        next: Some(leaf.into()),
    });
}

#[test]
fn every_codec_keeps_every_bit_of_a_float() {
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let (double, single) = (f64::from_bits(bits), f32::from_bits((bits >> 32) as u32));
        for kind in built() {
            let pair = (double, single);
            match there_and_back(kind, &pair) {
                Ok((d, s)) => {
                    assert_eq!(
                        (d.to_bits(), s.to_bits()),
                        (double.to_bits(), single.to_bits())
                    );
                }
                Err(_) => assert!(
                    !double.is_finite() || !single.is_finite(),
                    "{kind:?} {pair:?}"
                ),
            }
        }
    }
    kept(&-0.0_f64);
    kept(&(f64::MAX, f64::MIN_POSITIVE, f64::EPSILON, 5e-324, 0.1 + 0.2));
}

#[test]
fn every_codec_keeps_maps_and_sets() {
    kept(&HashMap::from([("a".to_owned(), 1), (String::new(), 2)]));
    kept(&(
        BTreeMap::from([(-3_i32, 'x'), (7, 'y')]),
        HashSet::from([1_u64, 2, 3]),
    ));
    kept(&BTreeMap::from([('k', true)]));
}

#[test]
fn keys_that_are_not_text_are_kept_or_refused() {
    let map = BTreeMap::from([((1_u8, "a".to_owned()), 1), ((2, "b".to_owned()), 2)]);
    for kind in built() {
        match there_and_back(kind, &map) {
            Ok(read) => assert_eq!(read, map),
            Err(error) => assert!(kind == CodecKind::Json && error.to_string().contains("key")),
        }
    }
}

#[test]
fn what_a_codec_would_change_it_refuses() {
    let nested: [Option<Option<u8>>; 3] = [None, Some(None), Some(Some(1))];
    let units = [Some(()), None];
    for kind in built() {
        let positional = matches!(kind, CodecKind::Bincode | CodecKind::Postcard);
        for (same, written) in [
            (
                there_and_back(kind, &nested).map(|read| read == nested),
                "nested",
            ),
            (
                there_and_back(kind, &units).map(|read| read == units),
                "units",
            ),
        ] {
            match same {
                Ok(same) => assert!(same && positional, "{kind:?} {written}"),
                Err(error) => {
                    assert!(!positional && error.to_string().contains("codec = \"bincode\""));
                }
            }
        }
        match there_and_back(kind, &Some(f64::NAN)) {
            Ok(read) => assert!(read.is_some_and(f64::is_nan) && kind != CodecKind::Json),
            Err(error) => assert!(kind == CodecKind::Json && error.to_string().contains("NaN")),
        }
    }
}

#[test]
fn a_field_left_out_is_refused_where_position_is_all() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        note: Option<u8>,
        id: u8,
    }
    for kind in built() {
        let full = Sparse {
            note: Some(1),
            id: 2,
        };
        assert_eq!(there_and_back(kind, &full).expect("full"), full);
        let sparse = Sparse { note: None, id: 1 };
        match there_and_back(kind, &sparse) {
            Ok(read) => assert!(read == sparse && kind.name().len() < 8, "{kind:?}"),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains("`note`") && text.contains("msgpack"),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn bytes_left_over_are_an_error() {
    for kind in built() {
        for tail in [&b"\0"[..], b"\x91", b"\xc4", b"\xc0", b"1", b"\xff\xff"] {
            let mut bytes = Vec::new();
            encode(kind, &Kind::Two(1, 2), &mut bytes).expect("encodes");
            bytes.extend_from_slice(tail);
            assert!(decode::<Kind>(kind, &bytes).is_err(), "{kind:?} {tail:?}");
        }
    }
}

/// A length as each codec writes it, with nothing after it.
fn claims(kind: CodecKind) -> Vec<Vec<u8>> {
    let mut claims = Vec::new();
    for length in [1 << 17, u64::from(u32::MAX), 1 << 40, u64::MAX] {
        if kind == CodecKind::MsgPack {
            let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
            for marker in [0xdb, 0xc6, 0xdd, 0xdf] {
                claims.push([&[marker][..], &length].concat());
            }
        } else {
            let mut bytes = Vec::new();
            encode(kind, &length, &mut bytes).expect("encodes");
            claims.push(bytes);
        }
    }
    claims
}

/// Trusts the size hint, as some collections do.
#[derive(Debug)]
struct Trusting(#[allow(dead_code)] Vec<[u64; 512]>);

impl<'de> Deserialize<'de> for Trusting {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsTrusting;
        impl<'de> serde::de::Visitor<'de> for AsTrusting {
            type Value = Trusting;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Trusting, A::Error> {
                let hint = seq.size_hint().unwrap_or(0);
                assert!(hint <= 64, "a hint of {hint} for an input of a few bytes");
                let mut all = Vec::with_capacity(hint);
                while let Some(number) = seq.next_element()? {
                    all.push([number; 512]);
                }
                Ok(Trusting(all))
            }
        }
        deserializer.deserialize_seq(AsTrusting)
    }
}

#[test]
fn a_claimed_length_costs_nothing() {
    let start = Instant::now();
    for kind in binary() {
        for claim in claims(kind) {
            for fill in [0, 7] {
                let bytes = [&claim[..], &[fill; 40]].concat();
                assert!(
                    decode::<String>(kind, &bytes).is_err(),
                    "{kind:?} {bytes:?}"
                );
                assert!(decode::<Raw>(kind, &bytes).is_err());
                assert!(decode::<Vec<String>>(kind, &bytes).is_err());
                assert!(decode::<Vec<[u64; 32]>>(kind, &bytes).is_err());
                assert!(decode::<HashMap<u64, [u64; 32]>>(kind, &bytes).is_err());
                assert!(decode::<Trusting>(kind, &bytes).is_err());
                assert!(decode::<Vec<Vec<Vec<Tree>>>>(kind, &bytes).is_err());
            }
            // Elements without bytes never run out of input.
            if claim.len() > 4 {
                assert!(
                    decode::<Vec<()>>(kind, &claim).is_err(),
                    "{kind:?} {claim:?}"
                );
                assert!(decode::<Vec<Unit>>(kind, &claim).is_err());
                assert!(decode::<HashSet<[u8; 0]>>(kind, &claim).is_err());
            }
        }
    }
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "claims were believed"
    );
}

/// Makes room as it is told to, and notes how much.
#[derive(Debug)]
struct Nest;

thread_local! {
    static ROOM: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl<'de> Deserialize<'de> for Nest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsNest;
        impl<'de> serde::de::Visitor<'de> for AsNest {
            type Value = Nest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Nest, A::Error> {
                let room = seq.size_hint().unwrap_or(0);
                ROOM.with(|all| all.set(all.get() + room));
                while seq.next_element::<Nest>()?.is_some() {}
                Ok(Nest)
            }
        }
        deserializer.deserialize_seq(AsNest)
    }
}

#[test]
fn claims_inside_of_claims_get_room_for_the_input_once() {
    for kind in binary() {
        // Each level says that it has as many elements as the input has bytes.
        let claim: &[u8] = match kind {
            CodecKind::MsgPack => &[0xdc, 0, 100],
            _ => &[100],
        };
        let bytes: Vec<u8> = claim.iter().copied().cycle().take(100).collect();
        ROOM.with(|all| all.set(0));
        assert!(decode::<Nest>(kind, &bytes).is_err(), "{kind:?}");
        let room = ROOM.with(std::cell::Cell::get);
        // Postcard tells no claim that goes beyond the end.
        let least = usize::from(kind != CodecKind::Postcard);
        assert!((least..=100).contains(&room), "{kind:?}: room for {room}");
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Chain {
    Link(Box<Chain>),
    End,
}

#[derive(Debug, Serialize, Deserialize)]
struct Peano(Option<Box<Peano>>);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[allow(dead_code)]
enum Loose {
    List(Vec<Loose>),
    Leaf(u8),
}

#[test]
fn deep_nesting_in_the_input_is_an_error() {
    for kind in built() {
        for byte in [0x00, 0x01, 0x91, 0x81, b'[', b'{', 0xdd] {
            let bytes = vec![byte; 100_000];
            assert!(decode::<Tree>(kind, &bytes).is_err(), "{kind:?} {byte:x}");
            assert!(decode::<Chain>(kind, &bytes).is_err(), "{kind:?} {byte:x}");
            assert!(decode::<Loose>(kind, &bytes).is_err(), "{kind:?} {byte:x}");
            // A chain of options is a number to JSON, and to the others as deep as it is long.
            assert!(decode::<Peano>(kind, &bytes).is_err(), "{kind:?} {byte:x}");
        }
        let links = b"{\"Link\":".repeat(100_000);
        assert!(decode::<Chain>(kind, &links).is_err());
    }
}

#[test]
fn what_may_be_written_may_be_read_at_any_depth() {
    let chain = |links: usize| (0..links).fold(Chain::End, |chain, _| Chain::Link(chain.into()));
    let tree = |depth: usize| {
        (0..depth).fold(None, |next, _| {
            Some(Box::new(Tree {
                name: String::new(),
                children: vec![],
                next,
            }))
        })
    };
    for kind in built() {
        let (mut chains, mut trees) = (0, 0);
        for depth in 0..200 {
            let mut bytes = Vec::new();
            if encode(kind, &chain(depth), &mut bytes).is_ok() {
                chains = depth;
                decode::<Chain>(kind, &bytes).expect("reads what was written");
            }
            bytes.clear();
            if encode(kind, &tree(depth), &mut bytes).is_ok() {
                trees = depth;
                decode::<Option<Box<Tree>>>(kind, &bytes).expect("reads what was written");
            }
        }
        // At the end of a tree is one empty list of children.
        assert_eq!(
            (chains, trees),
            (MAX_DEPTH as usize, (MAX_DEPTH as usize - 1) / 2),
            "{kind:?}"
        );
        let error = encode(kind, &chain(200), &mut Vec::new()).expect_err("too deep");
        assert!(error.to_string().contains("120 levels"), "{error}");
    }
}

#[test]
fn a_codec_that_is_not_built_names_its_feature() {
    for kind in [
        CodecKind::Bincode,
        CodecKind::Postcard,
        CodecKind::MsgPack,
        CodecKind::Json,
    ] {
        match is_built(kind) {
            Ok(()) => assert!(there_and_back(kind, &1_u8).is_ok()),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains(&format!("feature `{}`", kind.name())),
                    "{text}"
                );
                assert!(encode(kind, &1_u8, &mut Vec::new()).is_err());
                assert!(decode::<u8>(kind, &[1]).is_err());
            }
        }
    }
    assert_eq!(default_kind(), built().next());
}
