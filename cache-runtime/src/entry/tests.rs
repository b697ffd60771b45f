//! Damaged, cut, foreign and random bytes: a miss with a reason, or the equal value.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use super::header::{SINCE, STAMP};
use super::*;
use crate::backend::TagVersion;
use crate::key::Key;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: Option<String>,
    roles: Vec<Role>,
    scores: BTreeMap<u32, f64>,
    raw: HashMap<String, Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Role {
    Guest,
    Member { since: u32 },
    Admin(Vec<String>, i64),
}

const CODECS: [CodecKind; 4] = [
    CodecKind::Bincode,
    CodecKind::Postcard,
    CodecKind::MsgPack,
    CodecKind::Json,
];

fn codecs() -> impl Iterator<Item = CodecKind> {
    CODECS
        .into_iter()
        .filter(|codec| codec::is_built(*codec).is_ok())
}

fn user() -> User {
    User {
        id: 42,
        name: "Ada Lovelace".into(),
        email: Some("ada@example.org".into()),
        roles: vec![
            Role::Guest,
            Role::Member { since: 1843 },
            Role::Admin(vec!["all".into()], -1),
        ],
        scores: BTreeMap::from([(1, 0.1), (2, f64::MAX)]),
        raw: HashMap::from([("key".into(), vec![0, 255, 7])]),
    }
}

fn of_user() -> u64 {
    static OF_USER: LazyLock<u64> = LazyLock::new(|| fingerprint::of::<User>(0));
    *OF_USER
}

fn meta(codec: CodecKind) -> Meta {
    Meta {
        fingerprint: of_user(),
        codec,
        life: life(),
        basis: basis(),
    }
}

fn basis() -> Basis {
    Basis {
        since: Some(TagVersion::from_number(7)),
        tags: [Key::from("org:7"), Key::from("kind:a")]
            .into_iter()
            .collect(),
    }
}

fn life() -> Life {
    Life::new(Duration::from_secs(300))
        .with_soft(Some(Duration::from_millis(60_500)))
        .with_load_time(Duration::from_micros(12_345))
}

#[test]
fn that_there_is_no_value_is_read_back() {
    for codec in CODECS {
        // Nothing is encoded, so that no codec is needed for it.
        let entry = encode::<User>(None, &meta(codec)).expect("encodes");
        assert_eq!(
            read(&entry),
            Ok(Decoded {
                value: None,
                life: life()
            })
        );
        assert_eq!(
            read(&[&entry[..], &[0]].concat()),
            Err(Mismatch::Length),
            "{codec:?}"
        );
    }
}

fn read(bytes: &[u8]) -> Result<Decoded<User>, Mismatch> {
    decode(bytes, of_user())
}

/// A small generator, the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

#[test]
fn an_entry_comes_back_with_all_it_says() {
    for codec in codecs() {
        let mut entry = encode(Some(&user()), &meta(codec))
            .expect("encodes")
            .to_vec();
        assert_eq!(entry[STAMP], [0; 8]);
        entry[STAMP].copy_from_slice(&77_u64.to_le_bytes());
        let expected = Decoded {
            value: Some(user()),
            life: life(),
        };
        assert_eq!(read(&entry), Ok(expected), "{codec:?}");
    }
}

#[test]
fn another_type_or_schema_is_a_miss() {
    for codec in codecs() {
        let entry = encode(Some(&user()), &meta(codec)).expect("encodes");
        let as_type = |fingerprint| decode::<Vec<u8>>(&entry, fingerprint).err();
        assert_eq!(
            as_type(fingerprint::of::<Vec<u8>>(0)),
            Some(Mismatch::Fingerprint)
        );
        assert_eq!(
            as_type(fingerprint::of::<User>(1)),
            Some(Mismatch::Fingerprint)
        );
    }
}

#[test]
fn every_changed_byte_is_a_miss_or_the_equal_value() {
    for codec in codecs() {
        let entry = encode(Some(&user()), &meta(codec)).expect("encodes");
        for at in 0..entry.len() {
            for change in 1..=255 {
                let mut changed = entry.to_vec();
                changed[at] ^= change;
                match read(&changed) {
                    Ok(decoded) => {
                        let of_backend = STAMP.contains(&at) || SINCE.contains(&at);
                        assert!(of_backend, "{codec:?}: byte {at} was not missed");
                        assert_eq!(decoded.value, Some(user()));
                    }
                    Err(reason) => assert!(!reason.label().is_empty()),
                }
            }
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_a_miss() {
    for codec in codecs() {
        let entry = encode(Some(&user()), &meta(codec)).expect("encodes");
        for len in 0..entry.len() {
            assert!(read(&entry[..len]).is_err(), "{codec:?}: {len} bytes");
        }
        for tail in [&[0][..], &[0; 8], &entry] {
            assert_eq!(read(&[&entry[..], tail].concat()), Err(Mismatch::Length));
        }
    }
}

/// Below the checksum, where a forged or colliding entry would arrive: never a panic, never for long.
#[test]
fn random_and_mutated_payloads_never_panic() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for codec in codecs() {
        let entry = encode(Some(&user()), &meta(codec)).expect("encodes");
        let sound = &entry[HEADER..];
        for round in 0..30_000 {
            let payload: Vec<u8> = if round % 2 == 0 {
                (0..random.below(80)).map(|_| random.next() as u8).collect()
            } else {
                let mut payload = sound[..random.below(sound.len() + 1)].to_vec();
                for _ in 0..=random.below(4) {
                    let at = random.below(payload.len());
                    if let Some(byte) = payload.get_mut(at) {
                        *byte = [0x00, 0xff, 0xfd, 0x80, random.next() as u8][random.below(5)];
                    }
                }
                payload
            };
            let _ = codec::decode::<User>(codec, &payload);
            let _ = codec::decode::<Vec<(String, Role)>>(codec, &payload);
            let _ = codec::decode::<(Option<Box<Role>>, char, u128, [f32; 3])>(codec, &payload);
        }
    }
}

#[test]
fn random_bytes_are_a_miss() {
    let mut random = Random(0xdead_beef_cafe_f00d);
    let entry = codecs()
        .next()
        .map(|codec| encode(Some(&user()), &meta(codec)).expect("encodes"));
    let head: &[u8] = entry.as_deref().unwrap_or_default();
    for round in 0..100_000 {
        let mut bytes: Vec<u8> = (0..random.below(120))
            .map(|_| random.next() as u8)
            .collect();
        if round % 2 == 0 {
            let keep = random.below(head.len().min(bytes.len()));
            bytes[..keep].copy_from_slice(&head[..keep]);
        }
        assert!(read(&bytes).is_err());
    }
}

#[test]
fn an_entry_beyond_the_bound_is_not_written() {
    for codec in codecs() {
        let large = "x".repeat(MAX_ENTRY);
        let error = encode(Some(&large), &meta(codec)).expect_err("too long");
        assert!(error.to_string().contains("67108864"), "{error}");
    }
}
