//! Two different argument lists never give the same key.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use cache_runtime::{Key, KeyPart, KeyWriter, cached};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The argument lists that each property is tried on; each is compared with all those before it.
const CASES: usize = 12_000;

/// What separates, escapes or marks in a key, what is mistaken for it, and a few letters, so that short texts often nearly meet.
fn character() -> impl Strategy<Value = char> {
    prop_oneof![
        6 => prop::sample::select(vec![
            ':', '%', '<', '>', '{', '}', '*', ',', '!', '~', '(', ')', '-', '/', '|', '?', '[', ']', '\\', '^', '"', ' ', '=',
        ]),
        2 => prop::sample::select(vec!['\0', '\n', '\t', '\x1b', '\x7f', '\u{85}', '\u{2028}', '\u{feff}']),
        2 => prop::sample::select(vec!['a', 'b', '0', '1', '2', '5', 'A', 'N', 'o']),
        1 => prop::sample::select(vec!['ü', 'é', 'ß', '日', '\u{301}', '🦀']),
        1 => any::<char>(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let traps = vec![
        "%", "%~", "%!", "%!!", "%(", "%)", "%,", "%(%)", "%3A", "%25", "%253A", "a:b", "null",
        "None", "",
    ];
    prop_oneof![
        4 => vec(character(), 0..4).prop_map(String::from_iter),
        // Of few characters, so that two lists are often the same once they are joined.
        4 => vec(prop::sample::select(vec![':', '%', '!', 'a']), 0..4).prop_map(String::from_iter),
        // Escapes and marks, spelt out.
        2 => prop::sample::select(traps).prop_map(str::to_owned),
    ]
}

/// Tries keys of all lists against each other: equal keys if and only if equal lists.
fn injective<A>(arguments: impl Strategy<Value = A>, key: impl Fn(A) -> Key)
where
    A: Clone + Debug + Eq + Hash,
{
    let config = Config {
        cases: CASES as u32,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let seen: RefCell<HashMap<Key, A>> = RefCell::default();
    let different: RefCell<HashSet<A>> = RefCell::default();
    let result = runner.run(&arguments, |list| {
        let made = key(list.clone());
        prop_assert_eq!(&made, &key(list.clone()), "the same list gave two keys");
        different.borrow_mut().insert(list.clone());
        let earlier = seen.borrow_mut().insert(made.clone(), list.clone());
        if let Some(earlier) = earlier {
            prop_assert_eq!(earlier, list, "two lists gave the key {:?}", made);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert_eq!(seen.borrow().len(), different.borrow().len());
    assert!(
        different.borrow().len() > CASES / 20,
        "too few different lists to say anything"
    );
}

mod templates {
    use super::*;

    #[cached(key = "one:<a>")]
    async fn one(a: &str) -> u8 {
        a.len() as u8
    }

    #[cached(key = "two:<a>:<b>")]
    async fn two(a: String, b: &str) -> u8 {
        (a.len() + b.len()) as u8
    }

    #[cached(key = "<a>:then:<b>:<c>-")]
    async fn three(a: &str, b: Option<&str>, c: &[String]) -> u8 {
        (a.len() + b.map_or(0, str::len) + c.len()) as u8
    }

    #[cached(key = "nested:<a>:<b>:<c>")]
    async fn nested(
        a: Option<Option<String>>,
        b: (String, Option<String>),
        c: Option<Vec<Option<String>>>,
    ) -> u8 {
        drop((a, b, c));
        0
    }

    type Options = Option<Option<Option<(Option<u8>, bool)>>>;

    #[cached(key = "deep:<a>:<b>")]
    async fn deep(a: Vec<Vec<String>>, b: Options) -> u8 {
        drop((a, b));
        0
    }

    #[cached(key = "mixed:<a>:<b>:<c>")]
    async fn mixed(a: i64, b: char, c: BTreeSet<i8>) -> u8 {
        drop((a, b, c));
        0
    }

    struct Pair {
        left: String,
        right: (String, Option<String>),
    }

    #[cached(key = "fields:<pair.left>:<pair.right.1>:<pair.right.0>")]
    async fn fields(pair: &Pair) -> u8 {
        (pair.left.len() + pair.right.0.len()) as u8
    }

    /// Of a type whose key is written by its own implementation.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    struct Sku {
        maker: String,
        number: Option<String>,
    }

    impl KeyPart for Sku {
        fn write_key(&self, key: &mut KeyWriter) {
            (&self.maker, &self.number).write_key(key);
        }
    }

    #[cached(key = "sku:<a>:<b>")]
    async fn sku(a: Sku, b: Option<Sku>) -> u8 {
        drop((a, b));
        0
    }

    #[test]
    fn one_placeholder_tells_all_texts_apart() {
        injective(text(), |a| one::key(&a));
    }

    #[test]
    fn keys_about_as_long_as_fit_on_the_stack_are_told_apart() {
        // Up to 63 bytes a key is kept in place, and then on the heap.
        let long =
            (48..66_usize, text(), text()).prop_map(|(length, a, b)| ("x".repeat(length) + &a, b));
        injective((long, option::of(option::of(text()))), |((a, b), c)| {
            nested::key(c, (a, Some(b)), None)
        });
    }

    #[test]
    fn two_placeholders_tell_all_pairs_of_texts_apart() {
        injective((text(), text()), |(a, b)| two::key(a, &b));
    }

    #[test]
    fn three_placeholders_tell_texts_options_and_lists_apart() {
        injective(
            (text(), option::of(text()), vec(text(), 0..3)),
            |(a, b, c)| three::key(&a, b.as_deref(), &c),
        );
    }

    #[test]
    fn nested_options_tuples_and_lists_are_told_apart() {
        let optional = || option::of(text());
        let c = option::of(vec(optional(), 0..3));
        injective(
            (option::of(optional()), (text(), optional()), c),
            |(a, b, c)| nested::key(a, b, c),
        );
    }

    #[test]
    fn lists_of_lists_and_options_of_options_are_told_apart() {
        let a = vec(vec(text(), 0..3), 0..3);
        let b = option::of(option::of(option::of((option::of(0..3_u8), any::<bool>()))));
        injective((a, b), |(a, b)| deep::key(a, b));
    }

    #[test]
    fn numbers_characters_and_sets_are_told_apart() {
        let sets = prop::collection::btree_set(-3..12_i8, 0..4);
        injective((-20..20_i64, character(), sets), |(a, b, c)| {
            mixed::key(a, b, c)
        });
    }

    #[test]
    fn fields_are_told_apart() {
        injective((text(), text(), option::of(text())), |(left, a, b)| {
            fields::key(&Pair {
                left,
                right: (a, b),
            })
        });
    }

    #[test]
    fn types_that_write_their_own_key_are_told_apart() {
        let one = || (text(), option::of(text())).prop_map(|(maker, number)| Sku { maker, number });
        injective((one(), option::of(one())), |(a, b)| sku::key(a, b));
    }
}

mod defaults {
    use super::*;

    #[cached]
    async fn texts(a: &str, b: Option<String>, c: Vec<String>) -> u8 {
        (a.len() + b.map_or(0, |b| b.len()) + c.len()) as u8
    }

    #[cached]
    async fn generic<T: KeyPart, const N: usize>(a: T, b: [String; N]) -> u8 {
        drop((a, b));
        0
    }

    #[cached]
    async fn unnamed(a: impl KeyPart, (b, c): (String, u8)) -> u8 {
        drop((a, b, c));
        0
    }

    #[test]
    fn the_default_key_tells_all_argument_lists_apart() {
        injective(
            (text(), option::of(text()), vec(text(), 0..3)),
            |(a, b, c)| texts::key(&a, b, c),
        );
    }

    #[test]
    fn the_default_key_tells_types_and_constants_apart() {
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        enum List {
            OneOfText(String, [String; 1]),
            TwoOfText(String, [String; 2]),
            OneOfNumber(u8, [String; 1]),
            OneOfOption(Option<String>, [String; 1]),
        }
        let lists = prop_oneof![
            (text(), text()).prop_map(|(a, b)| List::OneOfText(a, [b])),
            (text(), text(), text()).prop_map(|(a, b, c)| List::TwoOfText(a, [b, c])),
            (0..9_u8, text()).prop_map(|(a, b)| List::OneOfNumber(a, [b])),
            (option::of(text()), text()).prop_map(|(a, b)| List::OneOfOption(a, [b])),
        ];
        injective(lists, |list| match list {
            List::OneOfText(a, b) => generic::key(a, b),
            List::TwoOfText(a, b) => generic::key(a, b),
            List::OneOfNumber(a, b) => generic::key(a, b),
            List::OneOfOption(a, b) => generic::key(a, b),
        });
    }

    #[test]
    fn the_default_key_tells_unnamed_types_and_patterns_apart() {
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        enum First {
            Text(String),
            Number(u64),
            Option(Option<u64>),
        }
        let first = prop_oneof![
            text().prop_map(First::Text),
            (0..20_u64).prop_map(First::Number),
            option::of(0..20_u64).prop_map(First::Option),
        ];
        injective((first, text(), any::<u8>()), |(a, b, c)| match a {
            First::Text(a) => unnamed::key(a, (b, c)),
            First::Number(a) => unnamed::key(a, (b, c)),
            First::Option(a) => unnamed::key(a, (b, c)),
        });
    }
}

mod traps {
    use super::*;

    #[cached(key = "h:<a>")]
    async fn one(a: &str) -> u8 {
        a.len() as u8
    }

    #[cached(key = "h:<a>:<b>")]
    async fn two(a: &str, b: &str) -> u8 {
        (a.len() + b.len()) as u8
    }

    #[cached(key = "h:<elements>")]
    async fn list(elements: &[&str]) -> u8 {
        elements.len() as u8
    }

    #[cached(key = "h:<a>:<list>")]
    async fn with_list(a: &str, list: &[&str]) -> u8 {
        (a.len() + list.len()) as u8
    }

    #[cached(key = "o:<a>")]
    async fn optional(a: Option<&str>) -> u8 {
        a.map_or(0, str::len) as u8
    }

    fn all_differ(keys: &[Key]) {
        let mut different: Vec<&Key> = keys.iter().collect();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
    }

    /// Other programs may write keys too, to invalidate them: the text does not change from release to release.
    #[test]
    fn keys_are_written_as_documented() {
        for (text, written) in [
            ("plain text / ü", "plain text / ü"),
            ("", "%~"),
            (":%<>{}*", "%3A%25%3C%3E%7B%7D%2A"),
            ("\0\n\x7f", "%00%0A%7F"),
        ] {
            assert_eq!(one::key(text), format!("h:{written}").as_str());
        }
        assert_eq!(optional::key(None), "o:%!");
        assert_eq!(list::key(&[]), "h:%(%)");
        assert_eq!(list::key(&["", "a,b"]), "h:%(%~%,a,b%,%)");
    }

    #[test]
    fn texts_are_not_joined() {
        all_differ(&[
            two::key("h", "ab"),
            two::key("ha", "b"),
            two::key("hab", ""),
            two::key("", "hab"),
        ]);
        all_differ(&[
            with_list::key("h", &["ab"]),
            with_list::key("h", &["a", "b"]),
            with_list::key("ha", &["b"]),
        ]);
        all_differ(&[
            list::key(&["h", "ab"]),
            list::key(&["h", "a", "b"]),
            list::key(&["ha", "b"]),
            list::key(&["hab"]),
        ]);
    }

    #[test]
    fn a_separator_in_a_value_is_not_a_separator() {
        all_differ(&[
            one::key("a:b"),
            two::key("a", "b"),
            two::key("a:b", ""),
            two::key("", "a:b"),
            one::key("a%3Ab"),
            one::key("a%253Ab"),
            two::key("a:", "b"),
            two::key("a", ":b"),
        ]);
    }

    #[test]
    fn a_value_cannot_spell_a_mark() {
        all_differ(&[
            list::key(&[]),
            list::key(&[""]),
            list::key(&["", ""]),
            list::key(&["%,"]),
            list::key(&["%)"]),
            one::key("%(%)"),
            one::key("%(%~%,%)"),
            one::key(""),
            one::key("%~"),
        ]);
        all_differ(&[
            optional::key(None),
            optional::key(Some("")),
            optional::key(Some("%!")),
            optional::key(Some("%~")),
            optional::key(Some("None")),
            optional::key(Some("null")),
        ]);
    }

    #[test]
    fn texts_that_look_alike_are_not_alike() {
        all_differ(&[
            one::key("é"),
            one::key("e\u{301}"),
            one::key("É"),
            one::key("e"),
            one::key("e "),
        ]);
        all_differ(&[
            one::key("a\0"),
            one::key("a"),
            one::key("a\n"),
            one::key("a\r\n"),
            one::key("\u{feff}a"),
        ]);
        all_differ(&[
            one::key("1"),
            one::key("01"),
            one::key("+1"),
            one::key("1.0"),
        ]);
    }

    #[test]
    fn what_a_pattern_of_redis_would_match_is_escaped() {
        for text in ["*", "a*", "{tag}", "}{", "a}b{c"] {
            let key = one::key(text);
            assert!(!key.contains(['*', '{', '}']), "{key}");
        }
    }

    #[test]
    fn long_values_are_kept_whole() {
        let long = "x".repeat(100_000);
        all_differ(&[
            one::key(&long),
            one::key(&long[1..]),
            one::key(&format!("{long}:")),
            two::key(&long, &long),
        ]);
        assert_eq!(one::key(&long).len(), 100_002);
    }

    #[test]
    fn numbers_are_written_in_full() {
        #[cached(key = "<a>:<b>:<c>:<d>:<e>")]
        async fn numbers(a: u64, b: i64, c: u128, d: i8, e: usize) -> u8 {
            let _ = (a, b, c, d, e);
            0
        }
        let powers = (0..64)
            .map(|bit| 1_u64 << bit)
            .chain((0..20).map(|digits| 10_u64.pow(digits)));
        for power in powers {
            for a in [power - 1, power, power + 1, u64::MAX - power] {
                let (b, c) = (a as i64, u128::from(a) << 64);
                let (d, e) = (a as i8, a as usize);
                assert_eq!(
                    numbers::key(a, b, c, d, e),
                    format!("{a}:{b}:{c}:{d}:{e}").as_str()
                );
            }
        }
    }

    #[test]
    fn the_strategy_meets_the_traps() {
        let mut runner = TestRunner::new_with_rng(
            Config::default(),
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        );
        let texts: HashSet<String> = (0..CASES)
            .map(|_| text().new_tree(&mut runner).unwrap().current())
            .collect();
        for trap in ["", ":", "%", "%!", "%~", "a", "\0", "%(%)", "::"] {
            assert!(texts.contains(trap), "{trap:?}");
        }
    }
}
