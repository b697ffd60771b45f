//! What is written to Redis is what is read back, by every codec; and what cannot be read is a miss, never a wrong value or an error.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, CodecKind, FunctionStats, Spec, cached};
use redis::cmd;
use serde::{Deserialize, Serialize};
use tests::{Logs, RedisServer, in_memory, on_redis, redis_builder};

/// Stands for the database: counts its queries.
#[derive(Default)]
struct Db(AtomicU64);

impl Db {
    fn query(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }

    fn queries(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

fn of(cache: &Cache, spec: &'static Spec) -> FunctionStats {
    cache.stats().function(spec)
}

/// The bytes that Redis keeps of the default namespace's key.
async fn stored(server: &RedisServer, key: &str) -> Option<Vec<u8>> {
    server
        .query(cmd("GET").arg(format!("{{cache:{key}}}")))
        .await
}

async fn overwrite(server: &RedisServer, key: &str, bytes: &[u8]) {
    let () = server
        .query(cmd("SET").arg(format!("{{cache:{key}}}")).arg(bytes))
        .await;
}

mod round_trips {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Unit;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Pair(u8, String);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Empty,
        One(Option<i64>),
        Two(u8, i128),
        Named { at: char, unit: Unit },
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Tree {
        name: String,
        children: Vec<Tree>,
        next: Option<Box<Tree>>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Awkward {
        floats: Vec<f64>,
        small_floats: Vec<f32>,
        widest: (u128, i128, u64, i64),
        kinds: Vec<Kind>,
        pair: Pair,
        unit: Unit,
        texts: Vec<String>,
        by_number: HashMap<u32, Option<String>>,
        by_text: BTreeMap<String, Vec<Kind>>,
        set: BTreeSet<char>,
        tree: Tree,
        address: IpAddr,
        duration: Duration,
        nothing: (Option<u8>, Vec<u8>, String, [(); 0]),
    }

    fn awkward() -> Awkward {
        let leaf = || Tree {
            name: String::new(),
            children: vec![],
            next: None,
        };
        Awkward {
            // serde_json without `float_roundtrip` changes the first.
            floats: vec![
                5.050_000_000_000_001e-5,
                0.1 + 0.2,
                -0.0,
                f64::MIN_POSITIVE,
                f64::MAX,
                5e-324,
                1e300,
                2.0,
            ],
            small_floats: vec![0.1, f32::MIN_POSITIVE, f32::MAX, 16_777_217.0],
            widest: (u128::MAX, i128::MIN, u64::MAX, i64::MIN),
            kinds: vec![
                Kind::Empty,
                Kind::One(None),
                Kind::One(Some(-1)),
                Kind::Two(255, i128::MAX),
                Kind::Named {
                    at: '\u{10ffff}',
                    unit: Unit,
                },
            ],
            pair: Pair(0, "\0\"\\\u{1f980}".into()),
            unit: Unit,
            texts: vec![String::new(), "null".into(), "ü".repeat(300)],
            by_number: HashMap::from([(0, None), (u32::MAX, Some(String::new()))]),
            by_text: BTreeMap::from([(String::new(), vec![]), ("a:b".into(), vec![Kind::Empty])]),
            set: BTreeSet::from(['a', '\0', 'ß']),
            tree: Tree {
                name: "root".into(),
                children: vec![leaf(), leaf()],
                next: Some(Box::new(leaf())),
            },
            address: "2001:db8::1".parse().unwrap(),
            duration: Duration::new(u64::MAX, 999_999_999),
            nothing: (None, vec![], String::new(), []),
        }
    }

    /// One function of each codec.
    macro_rules! by_each_codec {
        ($name:ident: $type:ty) => {
            mod $name {
                use super::*;

                #[cached(key = "bincode", codec = "bincode")]
                pub(super) async fn bincode(db: &Db, value: $type) -> $type {
                    db.query();
                    value
                }
                #[cached(key = "postcard", codec = "postcard")]
                pub(super) async fn postcard(db: &Db, value: $type) -> $type {
                    db.query();
                    value
                }
                #[cached(key = "msgpack", codec = "msgpack")]
                pub(super) async fn msgpack(db: &Db, value: $type) -> $type {
                    db.query();
                    value
                }
                #[cached(key = "json", codec = "json")]
                pub(super) async fn json(db: &Db, value: $type) -> $type {
                    db.query();
                    value
                }
            }
        };
    }
    by_each_codec!(of_awkward: Awkward);
    by_each_codec!(of_nested: Option<Vec<Option<Option<u8>>>>);
    by_each_codec!(of_float: f64);
    by_each_codec!(of_bits: u64);

    /// Calls twice: the second is a hit with the value of the first.
    macro_rules! kept {
        ($module:ident::$codec:ident, $value:expr, $other:expr) => {{
            let (server, db) = (RedisServer::start().await, Db::default());
            let cache = on_redis(&server).await;
            let value = $value;
            cache
                .scope(async {
                    assert!($module::$codec(&db, value.clone()).await == value);
                    assert!(
                        $module::$codec(&db, $other).await == value,
                        stringify!($codec)
                    );
                })
                .await;
            assert_eq!(
                (db.queries(), of(&cache, $module::$codec::SPEC).hits),
                (1, 1),
                stringify!($codec)
            );
            assert_eq!(
                of(&cache, $module::$codec::SPEC).errors,
                0,
                stringify!($codec)
            );
        }};
    }

    fn other() -> Awkward {
        Awkward {
            floats: vec![],
            ..awkward()
        }
    }

    #[tokio::test]
    async fn every_codec_gives_back_awkward_types_as_they_were() {
        kept!(of_awkward::bincode, awkward(), other());
        kept!(of_awkward::postcard, awkward(), other());
        kept!(of_awkward::msgpack, awkward(), other());
        kept!(of_awkward::json, awkward(), other());
    }

    #[tokio::test]
    async fn an_option_in_an_option_is_given_back_or_loaded_each_time_and_never_flattened() {
        let nested = Some(vec![None, Some(None), Some(Some(1))]);
        kept!(of_nested::bincode, nested.clone(), Some(vec![]));
        kept!(of_nested::postcard, nested.clone(), Some(vec![]));
        // The other two have one null for both.
        let (server, db) = (RedisServer::start().await, Db::default());
        let cache = on_redis(&server).await;
        cache
            .scope(async {
                for _ in 0..2 {
                    assert_eq!(of_nested::msgpack(&db, nested.clone()).await, nested);
                    assert_eq!(of_nested::json(&db, nested.clone()).await, nested);
                }
            })
            .await;
        assert_eq!(db.queries(), 4);
    }

    #[tokio::test]
    async fn a_float_that_json_cannot_write_is_loaded_each_time() {
        let (server, db) = (RedisServer::start().await, Db::default());
        let cache = on_redis(&server).await;
        cache
            .scope(async {
                assert!(of_float::json(&db, f64::NAN).await.is_nan());
                assert!(of_float::json(&db, f64::INFINITY).await.is_infinite());
                assert_eq!(db.queries(), 2);
                assert!(of_float::bincode(&db, f64::NAN).await.is_nan());
                assert!(of_float::bincode(&db, 1.0).await.is_nan());
                assert!(
                    of_float::msgpack(&db, f64::NEG_INFINITY)
                        .await
                        .is_infinite()
                );
                assert!(of_float::msgpack(&db, 1.0).await.is_infinite());
                assert_eq!(db.queries(), 4);
            })
            .await;
    }

    #[tokio::test]
    async fn json_keeps_every_bit_of_a_float() {
        let server = RedisServer::start().await;
        let (cache, db) = (on_redis(&server).await, Db::default());
        let mut bits: u64 = 1;
        cache
            .scope(async {
                for _ in 0..300 {
                    bits = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (bits >> 7);
                    let value = f64::from_bits(bits);
                    if value.is_finite() {
                        of_float::json::put(value).await.unwrap();
                        assert_eq!(of_float::json(&db, 0.5).await.to_bits(), bits);
                    }
                }
            })
            .await;
        assert_eq!(db.queries(), 0);
    }

    #[tokio::test]
    async fn the_codec_is_the_functions_else_the_caches_else_bincode() {
        #[cached(key = "plain")]
        async fn plain() -> BTreeMap<String, u8> {
            BTreeMap::from([("seven".into(), 7)])
        }
        let server = RedisServer::start().await;
        let builder = || redis_builder(&server);
        let as_json = br#"{"seven":7}"#;
        let as_bincode = b"\x01\x05seven\x07";
        let as_msgpack = b"\x81\xa5seven\x07";
        for (codec, payload) in [
            (None, &as_bincode[..]),
            (Some(CodecKind::Bincode), &as_bincode[..]),
            (Some(CodecKind::Postcard), &as_bincode[..]),
            (Some(CodecKind::MsgPack), &as_msgpack[..]),
            (Some(CodecKind::Json), &as_json[..]),
        ] {
            let builder = builder();
            let builder = match codec {
                Some(codec) => builder.codec(codec),
                None => builder,
            };
            let cache = builder.build().await.unwrap();
            cache.clear().await.unwrap();
            cache.scope(plain()).await;
            let bytes = stored(&server, "plain").await.unwrap();
            assert!(
                bytes.ends_with(payload),
                "{codec:?}: {}",
                String::from_utf8_lossy(&bytes)
            );
        }
        let json = builder().codec(CodecKind::Json).build().await.unwrap();
        json.scope(of_bits::bincode(&Db::default(), 300)).await;
        assert!(
            stored(&server, "bincode")
                .await
                .unwrap()
                .ends_with(b"\xfb\x2c\x01"),
            "the function's own goes before"
        );
    }
}

mod unreadable_types {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Text(String),
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Flat {
        id: u64,
        #[serde(flatten)]
        rest: BTreeMap<String, u64>,
    }

    fn flat() -> Flat {
        Flat {
            id: 1,
            rest: BTreeMap::from([("a".into(), 2)]),
        }
    }

    macro_rules! loaders {
        ($($module:ident, $codec:tt;)*) => {$(
            mod $module {
                use super::*;

                #[cached(key = "untagged", codec = $codec)]
                pub(super) async fn untagged(db: &Db) -> Untagged {
                    db.query();
                    Untagged::Text("x".into())
                }

                #[cached(key = "flat", codec = $codec)]
                pub(super) async fn flattened(db: &Db) -> Result<Option<Flat>, String> {
                    db.query();
                    Ok(Some(flat()))
                }

                #[cached(key = "value", codec = $codec)]
                pub(super) async fn value(db: &Db) -> Option<serde_json::Value> {
                    db.query();
                    Some(serde_json::json!({"a": [1, null, 0.5, {"b": "c"}]}))
                }
            }
        )*};
    }
    loaders! {
        by_bincode, "bincode";
        by_postcard, "postcard";
        by_msgpack, "msgpack";
        by_json, "json";
    }

    /// Ten calls of the function; how many of them loaded, and its answer to each.
    macro_rules! ten_calls {
        ($call:path) => {{
            let db = Db::default();
            let first = $call(&db).await;
            for _ in 1..10 {
                assert_eq!($call(&db).await, first);
            }
            db.queries()
        }};
    }

    #[tokio::test]
    async fn a_type_that_a_binary_codec_cannot_read_back_is_reported_once_with_what_to_choose() {
        let server = RedisServer::start().await;
        let cache = on_redis(&server).await;
        let logs = Logs::capture();
        cache
            .scope(async {
                assert_eq!(ten_calls!(by_bincode::untagged), 10);
                assert_eq!(ten_calls!(by_bincode::flattened), 10);
                assert_eq!(ten_calls!(by_bincode::value), 10);
                assert_eq!(ten_calls!(by_postcard::untagged), 10);
                assert_eq!(ten_calls!(by_postcard::flattened), 10);
                assert_eq!(ten_calls!(by_postcard::value), 10);
            })
            .await;
        assert_eq!(logs.count("ERROR"), 6, "{}", logs.text());
        for (function, codec) in ["untagged", "flattened", "value"]
            .iter()
            .flat_map(|f| [(f, "bincode"), (f, "postcard")])
        {
            let said: Vec<String> = logs
                .text()
                .lines()
                .filter(|line| {
                    line.contains("ERROR")
                        && line.contains(&format!("function={function:?}"))
                        && line.contains(&format!("codec `{codec}`"))
                })
                .map(str::to_owned)
                .collect();
            assert_eq!(said.len(), 1, "{function} by {codec}: {}", logs.text());
            assert!(
                said[0].contains(r#"codec = "msgpack""#) && said[0].contains("codecs.rs"),
                "{}",
                said[0]
            );
        }
        assert_eq!(
            server.entries().await.len(),
            0,
            "nothing is stored that could not be read"
        );
        let stats = of(&cache, by_bincode::untagged::SPEC);
        assert_eq!((stats.hits, stats.misses, stats.loads), (0, 10, 10));
        assert!(stats.errors > 0);
    }

    #[tokio::test]
    async fn the_codecs_that_name_fields_cache_such_types() {
        let server = RedisServer::start().await;
        let cache = on_redis(&server).await;
        cache
            .scope(async {
                assert_eq!(ten_calls!(by_msgpack::untagged), 1);
                assert_eq!(ten_calls!(by_msgpack::flattened), 1);
                assert_eq!(ten_calls!(by_msgpack::value), 1);
                cache.clear().await.unwrap();
                assert_eq!(ten_calls!(by_json::untagged), 1);
                assert_eq!(ten_calls!(by_json::flattened), 1);
                assert_eq!(ten_calls!(by_json::value), 1);
            })
            .await;
    }

    #[tokio::test]
    async fn in_memory_every_type_is_cached_whatever_the_codec() {
        let cache = in_memory().await;
        let logs = Logs::capture();
        cache
            .scope(async {
                assert_eq!(ten_calls!(by_bincode::untagged), 1);
                assert_eq!(ten_calls!(by_postcard::flattened), 1);
                assert_eq!(ten_calls!(by_bincode::value), 1);
            })
            .await;
        assert_eq!(logs.count("ERROR"), 0, "{}", logs.text());
    }

    #[tokio::test]
    async fn putting_such_a_value_is_an_error_that_names_the_codec() {
        let server = RedisServer::start().await;
        let cache = on_redis(&server).await;
        let error = cache
            .scope(by_bincode::untagged::put(Untagged::Number(1)))
            .await
            .unwrap_err();
        assert!(matches!(error, cache_runtime::Error::Codec(_)), "{error}");
        assert!(error.to_string().contains("bincode"), "{error}");
    }

    #[tokio::test]
    async fn a_value_that_fails_to_serialize_is_handed_out_and_not_stored() {
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        struct Moody(u64);
        impl Serialize for Moody {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if self.0 % 2 == 1 {
                    Err(serde::ser::Error::custom("odd"))
                } else {
                    serializer.serialize_newtype_struct("Moody", &self.0)
                }
            }
        }
        #[cached(key = "moody:<n>")]
        async fn moody(db: &Db, n: u64) -> Moody {
            db.query();
            Moody(n)
        }
        let (server, db) = (RedisServer::start().await, Db::default());
        let cache = on_redis(&server).await;
        cache
            .scope(async {
                for n in [2, 3, 4, 2, 3, 4] {
                    assert_eq!(moody(&db, n).await, Moody(n));
                }
            })
            .await;
        assert_eq!(
            db.queries(),
            4,
            "one bad value does not cost the others their place"
        );
    }
}

mod other_versions {
    use super::*;

    /// A function as it is in two releases of a program. Both have the key `thing`.
    macro_rules! releases {
        ($($name:ident $(($($args:tt)*))? -> $type:ty = $value:expr;)*) => {$(
            mod $name {
                use super::*;

                #[cached(key = "thing" $(, $($args)*)?)]
                pub(super) async fn load(db: &Db) -> $type {
                    db.query();
                    $value
                }
            }
        )*};
    }

    mod shapes {
        use super::*;

        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename = "User")]
        pub(super) struct User {
            pub(super) id: u64,
            pub(super) name: String,
        }

        /// The same bytes in a binary codec, and another meaning.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename = "User")]
        pub(super) struct Renamed {
            pub(super) tenant: u64,
            pub(super) name: String,
        }

        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename = "User")]
        pub(super) struct Grown {
            pub(super) id: u64,
            pub(super) name: String,
            #[serde(default)]
            pub(super) age: u8,
        }

        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename = "User")]
        pub(super) struct Wider {
            pub(super) id: u128,
            pub(super) name: String,
        }

        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename = "State")]
        pub(super) enum State {
            Open,
            Closed,
        }

        /// A variant in the middle: the numbers of those behind it change.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename = "State")]
        pub(super) enum MoreStates {
            Open,
            Pending,
            Closed,
        }
    }
    use shapes::*;

    fn user() -> User {
        User {
            id: 1,
            name: "Ada".into(),
        }
    }

    releases! {
        first -> User = user();
        unchanged -> User = user();
        renamed -> Renamed = Renamed { tenant: 7, name: "Ada".into() };
        grown -> Grown = Grown { id: 1, name: "Ada".into(), age: 36 };
        wider -> Wider = Wider { id: 1, name: "Ada".into() };
        bumped (schema = 1) -> User = User { id: 2, name: "Bea".into() };
        in_list -> Vec<User> = vec![user()];
        json (codec = "json") -> User = user();
        json_grown (codec = "json") -> Grown = Grown { id: 1, name: "Ada".into(), age: 36 };
        state -> State = State::Closed;
        more_states -> MoreStates = MoreStates::Closed;
    }

    /// One release stores, the other reads: a miss, counted, and then its own value, which the first does not take for its own.
    macro_rules! apart {
        ($server:expr, $old:ident, $new:ident) => {{
            let (old, new) = (on_redis($server).await, on_redis($server).await);
            old.clear().await.unwrap();
            let (old_db, new_db) = (Db::default(), Db::default());
            let old_value = old.scope($old::load(&old_db)).await;
            let new_value = new.scope($new::load(&new_db)).await;
            let names = concat!(stringify!($old), " then ", stringify!($new));
            assert_eq!(new_db.queries(), 1, "{names}: not the other's value");
            assert_eq!(new.scope($new::load(&new_db)).await, new_value, "{names}");
            assert_eq!(new_db.queries(), 1, "{names}: its own has taken the place");
            let stats = of(&new, $new::load::SPEC);
            assert_eq!((stats.hits, stats.misses), (1, 1), "{names}");
            assert!(stats.unreadable > 0 && stats.errors == 0, "{names}");
            assert_eq!(old.scope($old::load(&old_db)).await, old_value, "{names}");
            assert_eq!(old_db.queries(), 2, "{names}: nor the other way");
        }};
    }

    #[tokio::test]
    async fn an_entry_of_another_shape_or_schema_is_a_miss_and_is_replaced() {
        let server = RedisServer::start().await;
        apart!(&server, first, renamed);
        apart!(&server, first, grown);
        apart!(&server, first, wider);
        apart!(&server, first, bumped);
        apart!(&server, first, in_list);
        apart!(&server, json, json_grown);
        apart!(&server, state, more_states);
    }

    #[tokio::test]
    async fn an_entry_of_the_same_shape_is_a_hit_in_the_next_release() {
        let server = RedisServer::start().await;
        let (old, new, db) = (
            on_redis(&server).await,
            on_redis(&server).await,
            Db::default(),
        );
        old.scope(first::load(&db)).await;
        assert_eq!(new.scope(unchanged::load(&db)).await, user());
        assert_eq!((db.queries(), of(&new, unchanged::load::SPEC).hits), (1, 1));
    }

    #[tokio::test]
    async fn an_entry_says_its_codec_so_that_a_change_of_codec_costs_no_hits() {
        let server = RedisServer::start().await;
        let (old, new, db) = (
            on_redis(&server).await,
            on_redis(&server).await,
            Db::default(),
        );
        old.scope(first::load(&db)).await;
        assert_eq!(new.scope(json::load(&db)).await, user());
        assert_eq!((db.queries(), of(&new, json::load::SPEC).hits), (1, 1));
        new.scope(json::load::refresh(&db)).await;
        assert_eq!(old.scope(first::load(&db)).await, user());
        assert_eq!((db.queries(), of(&old, first::load::SPEC).hits), (2, 1));
    }
}

mod foreign_bytes {
    use std::fmt;

    use serde::de::{SeqAccess, Visitor};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Page {
        title: String,
        lines: Vec<String>,
    }

    #[cached(key = "page")]
    async fn page(db: &Db) -> Page {
        db.query();
        Page {
            title: "Title".into(),
            lines: vec!["one".into(), "two".into()],
        }
    }

    /// What is under the key is a miss, is counted if it is bytes, and is replaced by what is loaded.
    async fn is_a_miss_and_is_replaced(server: &RedisServer, what: &str, counted: bool) {
        let (cache, db) = (on_redis(server).await, Db::default());
        cache
            .scope(async {
                let loaded = page(&db).await;
                assert_eq!(db.queries(), 1, "{what}");
                assert_eq!(page(&db).await, loaded, "{what}");
                assert_eq!(db.queries(), 1, "{what}: was replaced");
            })
            .await;
        let stats = of(&cache, page::SPEC);
        assert_eq!(
            (stats.hits, stats.misses, stats.errors),
            (1, 1, 0),
            "{what}"
        );
        assert_eq!(stats.unreadable > 0, counted, "{what}");
    }

    async fn entry(server: &RedisServer) -> Vec<u8> {
        on_redis(server).await.scope(page(&Db::default())).await;
        stored(server, "page").await.unwrap()
    }

    #[tokio::test]
    async fn another_programs_bytes_are_a_miss_and_are_replaced() {
        let server = RedisServer::start().await;
        let huge = vec![0xff; 1 << 20];
        for bytes in [
            &b""[..],
            b"\0",
            b"CRT",
            b"{\"title\":\"Title\"}",
            b"\x80\x04\x95 pickled",
            &[0xff; 56],
            &[0; 57],
            &huge,
        ] {
            overwrite(&server, "page", bytes).await;
            is_a_miss_and_is_replaced(
                &server,
                &format!("{:?}", &bytes[..bytes.len().min(20)]),
                true,
            )
            .await;
        }
    }

    #[tokio::test]
    async fn a_value_of_another_redis_type_is_a_miss_and_is_replaced() {
        let server = RedisServer::start().await;
        for (command, args) in [
            ("RPUSH", &["x"][..]),
            ("SADD", &["x"]),
            ("HSET", &["x", "y"]),
            ("ZADD", &["1", "x"]),
            ("PFADD", &["x"]),
            ("XADD", &["*", "x", "y"]),
        ] {
            let () = server.query(&cmd("FLUSHALL")).await;
            let _: redis::Value = server
                .query(cmd(command).arg("{cache:page}").arg(args))
                .await;
            // A HyperLogLog is bytes of its own.
            is_a_miss_and_is_replaced(&server, command, command == "PFADD").await;
        }
    }

    #[tokio::test]
    async fn an_entry_cut_short_or_with_something_behind_it_is_a_miss_and_is_replaced() {
        let server = RedisServer::start().await;
        let whole = entry(&server).await;
        for length in [1, 8, 16, 55, 56, 57, whole.len() - 1] {
            overwrite(&server, "page", &whole[..length]).await;
            is_a_miss_and_is_replaced(&server, &format!("{length} bytes"), true).await;
        }
        overwrite(&server, "page", &[&whole[..], b"\0"].concat()).await;
        is_a_miss_and_is_replaced(&server, "one byte more", true).await;
    }

    #[tokio::test]
    async fn any_changed_byte_of_an_entry_is_noticed_but_for_what_the_server_writes() {
        let server = RedisServer::start().await;
        let (whole, cache, db) = (entry(&server).await, on_redis(&server).await, Db::default());
        let mut connection = server.connection().await;
        cache
            .scope(async {
                let sound = page::peek().await;
                assert!(sound.is_some());
                for at in 0..whole.len() {
                    let mut changed = whole.clone();
                    changed[at] ^= 0x41;
                    let () = cmd("SET")
                        .arg("{cache:page}")
                        .arg(changed)
                        .query_async(&mut connection)
                        .await
                        .unwrap();
                    match page::peek().await {
                        None => {}
                        // What the server writes, its time and the version of the tags, no checksum can cover.
                        found if (8..16).contains(&at) || (56..64).contains(&at) => {
                            assert_eq!(found, sound);
                        }
                        Some(_) => panic!("byte {at} was not missed"),
                    }
                }
            })
            .await;
        assert_eq!(db.queries(), 0);
    }

    /// Reads as a list of numbers, and writes whatever it is told to, so that the entry around it is sound.
    #[derive(Debug, Clone, PartialEq)]
    enum Writes {
        Sound(Vec<u64>),
        Claim,
    }

    impl Serialize for Writes {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Sound(list) => list.serialize(serializer),
                // In bincode and postcard, the length of a list that would not fit into any memory.
                Self::Claim => (u64::MAX / 16).serialize(serializer),
            }
        }
    }

    impl<'de> Deserialize<'de> for Writes {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(Believer).map(Self::Sound)
        }
    }

    /// A collection that makes room for as many elements as it is told.
    struct Believer;

    impl<'de> Visitor<'de> for Believer {
        type Value = Vec<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<u64>, A::Error> {
            let mut list = Vec::with_capacity(elements.size_hint().unwrap_or(0));
            while let Some(element) = elements.next_element()? {
                list.push(element);
            }
            Ok(list)
        }
    }

    macro_rules! claims {
        ($($module:ident, $codec:tt;)*) => {$(
            mod $module {
                use super::*;

                #[cached(key = "list", codec = $codec)]
                pub(super) async fn load(next: &Mutex<Vec<Writes>>) -> Writes {
                    next.lock().unwrap().pop().unwrap()
                }

                pub(super) async fn a_claim_is_a_miss_and_is_replaced(server: &RedisServer) {
                    let (writer, reader) = (on_redis(server).await, on_redis(server).await);
                    writer.clear().await.unwrap();
                    // The first value of a function is tried out; what comes later is believed.
                    let answers = Mutex::new(vec![Writes::Claim, Writes::Sound(vec![1])]);
                    writer.scope(load(&answers)).await;
                    writer.scope(load::refresh(&answers)).await;
                    assert!(stored(server, "list").await.is_some());
                    let sound = Mutex::new(vec![Writes::Sound(vec![1, 2])]);
                    assert_eq!(reader.scope(load(&sound)).await, Writes::Sound(vec![1, 2]));
                    assert_eq!(reader.scope(load(&sound)).await, Writes::Sound(vec![1, 2]));
                    let stats = of(&reader, load::SPEC);
                    assert_eq!((stats.hits, stats.misses), (1, 1), $codec);
                    assert!(stats.unreadable > 0, $codec);
                }
            }
        )*};
    }
    claims! {
        by_bincode, "bincode";
        by_postcard, "postcard";
        by_msgpack, "msgpack";
        by_json, "json";
    }

    #[tokio::test]
    async fn a_list_that_claims_to_be_endless_is_a_miss_and_is_replaced() {
        let server = RedisServer::start().await;
        by_bincode::a_claim_is_a_miss_and_is_replaced(&server).await;
        by_postcard::a_claim_is_a_miss_and_is_replaced(&server).await;
        by_msgpack::a_claim_is_a_miss_and_is_replaced(&server).await;
        by_json::a_claim_is_a_miss_and_is_replaced(&server).await;
    }
}
