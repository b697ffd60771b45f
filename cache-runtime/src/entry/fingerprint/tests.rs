//! What must change the fingerprint, what must not, and that it always ends.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroI64, NonZeroU8};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Deserializer, de};

use super::*;

fn of<T: DeserializeOwned>() -> u64 {
    super::of::<T>(0)
}

/// Types in modules of their own, each with its name: to compare versions of one type.
macro_rules! versions {
    ($($version:ident { $($item:item)* })*) => {$(
        mod $version {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[derive(Deserialize)]
                #[allow(dead_code)]
                $item
            )*
        }
    )*};
}

/// All fingerprints of a list of types, which must differ.
macro_rules! all_differ {
    ($($type:ty),* $(,)?) => {{
        let prints = [$((stringify!($type), of::<$type>())),*];
        let mut seen: HashMap<u64, &str> = HashMap::new();
        for (name, print) in prints {
            if let Some(other) = seen.insert(print, name) {
                panic!("{name} has the fingerprint of {other}");
            }
        }
    }};
}

versions! {
    base { pub(super) struct User { id: u64, name: String, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    moved { pub(super) struct User { id: u64, name: String, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } struct Unrelated(u8); }
    boxed { pub(super) struct User { id: u64, name: Box<str>, role: Box<Role>, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    renamed_type { pub(super) struct Person { id: u64, name: String, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    renamed_field { pub(super) struct User { id: u64, nick: String, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    renamed_by_serde { pub(super) struct User { #[serde(rename = "ID")] id: u64, name: String, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    reordered { pub(super) struct User { name: String, id: u64, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    retyped { pub(super) struct User { id: u32, name: String, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    signed { pub(super) struct User { id: i64, name: String, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    optional { pub(super) struct User { id: u64, name: Option<String>, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    added_field { pub(super) struct User { id: u64, name: String, role: Role, tags: Vec<String>, email: Option<String> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    removed_field { pub(super) struct User { id: u64, name: String, role: Role } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    element { pub(super) struct User { id: u64, name: String, role: Role, tags: Vec<u8> } enum Role { Guest, Member { since: u32 }, Admin(u8) } }
    added_variant { pub(super) struct User { id: u64, name: String, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u8), Root } }
    renamed_variant { pub(super) struct User { id: u64, name: String, role: Role, tags: Vec<String> } enum Role { Visitor, Member { since: u32 }, Admin(u8) } }
    reordered_variant { pub(super) struct User { id: u64, name: String, role: Role, tags: Vec<String> } enum Role { Member { since: u32 }, Guest, Admin(u8) } }
    second_variant { pub(super) struct User { id: u64, name: String, role: Role, tags: Vec<String> } enum Role { Guest, Member { until: u32 }, Admin(u8) } }
    third_variant { pub(super) struct User { id: u64, name: String, role: Role, tags: Vec<String> } enum Role { Guest, Member { since: u32 }, Admin(u16) } }
}

#[test]
fn every_change_of_shape_changes_it() {
    all_differ!(
        base::User,
        renamed_type::Person,
        renamed_field::User,
        renamed_by_serde::User,
        reordered::User,
        retyped::User,
        signed::User,
        optional::User,
        added_field::User,
        removed_field::User,
        element::User,
        added_variant::User,
        renamed_variant::User,
        reordered_variant::User,
        second_variant::User,
        third_variant::User,
    );
    assert_ne!(super::of::<base::User>(0), super::of::<base::User>(1));
}

#[test]
fn the_module_and_what_serde_does_not_see_do_not() {
    assert_eq!(of::<base::User>(), of::<moved::User>());
    assert_eq!(of::<base::User>(), of::<boxed::User>());
    assert_eq!(of::<Vec<base::User>>(), of::<Vec<moved::User>>());
}

#[test]
fn plain_types_differ() {
    all_differ!(
        u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64, bool, char, String, (),
        Option<u8>, Vec<u8>, [u8; 3], [u8; 4], (u8, u8), (u8, u16), HashMap<u8, u16>, HashMap<u16, u8>,
        Option<Option<u8>>, Option<Vec<u8>>, Vec<Option<u8>>, Vec<Vec<u8>>, Duration, SystemTime, IpAddr, SocketAddr,
        Result<u8, u16>, Result<u16, u8>,
    );
    // As the codecs write them.
    assert_eq!(of::<HashMap<u8, u16>>(), of::<BTreeMap<u8, u16>>());
    assert_eq!(of::<HashSet<u8>>(), of::<Vec<u8>>());
    assert_eq!(of::<u64>(), of::<usize>());
}

/// The same in every process and build: a change here makes every stored entry a miss.
#[test]
fn it_is_stable() {
    assert_eq!(of::<base::User>(), 10_583_528_726_696_615_076);
    assert_eq!(of::<Tree>(), 1_821_109_642_561_229_120);
}

versions! {
    tree { pub(super) struct Tree { value: u32, left: Option<Box<Tree>>, right: Option<Box<Tree>>, all: Vec<Tree> } }
    tree_after { pub(super) struct Tree { value: u32, left: Option<Box<Tree>>, right: Option<Box<Tree>>, all: Vec<Tree>, last: u8 } }
    mutual { pub(super) struct A { b: Option<Box<B>> } struct B { a: Vec<A>, end: u8 } }
    mutual_changed { pub(super) struct A { b: Option<Box<B>> } struct B { a: Vec<A>, end: u16 } }
    expr { pub(super) enum Expr { Add(Box<Expr>, Box<Expr>), Mul(Box<Expr>, Box<Expr>), Not(Box<Expr>), If { cond: Box<Expr>, then: Box<Expr>, other: Box<Expr> }, List(Vec<Expr>), Lit(i64) } }
    expr_lit { pub(super) enum Expr { Add(Box<Expr>, Box<Expr>), Mul(Box<Expr>, Box<Expr>), Not(Box<Expr>), If { cond: Box<Expr>, then: Box<Expr>, other: Box<Expr> }, List(Vec<Expr>), Lit(i32) } }
    expr_if { pub(super) enum Expr { Add(Box<Expr>, Box<Expr>), Mul(Box<Expr>, Box<Expr>), Not(Box<Expr>), If { cond: Box<Expr>, then: Box<Expr>, other: Option<Box<Expr>> }, List(Vec<Expr>), Lit(i64) } }
    endless { pub(super) struct Endless { again: Box<Endless> } }
    endless_enum { pub(super) enum Endless { A(Box<Endless>, Box<Endless>), B(Box<Endless>, Box<Endless>) } }
}

use tree::Tree;

#[test]
fn recursive_types_end_and_tell_changes() {
    all_differ!(
        tree::Tree,
        tree_after::Tree,
        mutual::A,
        mutual_changed::A,
        expr::Expr,
        expr_lit::Expr,
        expr_if::Expr,
        endless::Endless,
        endless_enum::Endless,
    );
}

/// Enums that are met only in one variant of another are seen in full, also where their name is taken in another module.
mod nested {
    use super::*;

    macro_rules! shop {
        ($module:ident, $second:ty, $third:ty) => {
            pub(super) mod $module {
                use super::*;
                pub(super) mod a {
                    use super::*;
                    #[derive(Deserialize)]
                    #[allow(dead_code)]
                    pub(crate) enum Inner {
                        X(u8),
                        Y($second),
                        Z,
                    }
                }
                pub(super) mod b {
                    use super::*;
                    #[derive(Deserialize)]
                    #[allow(dead_code)]
                    pub(crate) enum Inner {
                        X(u8),
                        Y($third),
                        Z,
                    }
                }
                #[derive(Deserialize)]
                #[allow(dead_code)]
                pub(crate) enum Outer {
                    None,
                    First(a::Inner),
                    Second { inner: b::Inner },
                }
            }
        };
    }
    shop!(plain, u16, u16);
    shop!(first, u32, u16);
    shop!(second, u16, u32);
}

#[test]
fn enums_inside_enums_are_seen_in_full() {
    all_differ!(
        nested::plain::Outer,
        nested::first::Outer,
        nested::second::Outer
    );
}

/// Read from text of one form that no dummy has.
#[derive(Debug)]
struct Picky;

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "picky" {
            Ok(Self)
        } else {
            Err(de::Error::custom("not picky"))
        }
    }
}

versions! {
    picky { pub(super) struct S { a: u8, p: Picky, o: Option<Picky>, v: Vec<Picky>, q: Picky, b: u16 } }
    picky_last { pub(super) struct S { a: u8, p: Picky, o: Option<Picky>, v: Vec<Picky>, q: Picky, b: u32 } }
    picky_between { pub(super) struct S { a: u8, p: Picky, o: Option<Picky>, v: Vec<u8>, q: Picky, b: u16 } }
    picky_outer { pub(super) struct S { inner: picky::S, b: u16 } }
    picky_outer_last { pub(super) struct S { inner: picky::S, b: u32 } }
    picky_enum { pub(super) enum S { A { p: Picky, b: u16 }, B(Picky), C(u8) } }
    picky_enum_field { pub(super) enum S { A { p: Picky, b: u32 }, B(Picky), C(u8) } }
    picky_enum_last { pub(super) enum S { A { p: Picky, b: u16 }, B(Picky), C(u16) } }
    alias { pub(super) struct S { #[serde(alias = "z", alias = "aa")] a: u8, b: u16 } }
    alias_last { pub(super) struct S { #[serde(alias = "z", alias = "aa")] a: u8, b: u32 } }
}

#[test]
fn a_type_that_rejects_the_dummy_does_not_hide_the_rest() {
    all_differ!(
        picky::S,
        picky_last::S,
        picky_between::S,
        picky_outer::S,
        picky_outer_last::S,
        picky_enum::S,
        picky_enum_field::S,
        picky_enum_last::S,
        alias::S,
        alias_last::S,
    );
}

#[test]
fn types_that_validate_are_taken() {
    all_differ!(
        NonZeroU8,
        NonZeroI64,
        (NonZeroU8, u8),
        (NonZeroU8, u16),
        (IpAddr, u8),
        (IpAddr, u16),
        (SocketAddr, u8),
        (SocketAddr, u16),
    );
}

#[test]
fn types_without_a_fixed_shape_are_any() {
    #[derive(Deserialize)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Untagged {
        A(u8),
        B(String),
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: HashMap<String, u8>,
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Holder<T> {
        any: T,
        after: u8,
    }
    all_differ!(Untagged, Flat, Holder<Untagged>, Holder<Flat>, Holder<u8>);
}

/// Never content, and asks as long as it is answered.
struct Greedy;

impl<'de> Deserialize<'de> for Greedy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsGreedy;
        impl<'de> de::Visitor<'de> for AsGreedy {
            type Value = Greedy;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("more")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Greedy, A::Error> {
                while seq.next_element::<Greedy>()?.is_some() {}
                Ok(Greedy)
            }
        }
        deserializer.deserialize_tuple(usize::MAX, AsGreedy)
    }
}

struct Panics;

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        assert_eq!(number, 77, "this panic is part of the test");
        Ok(Self)
    }
}

/// As many types as there are depths, each holding the one before it ten times.
struct Wide<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Wide<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[T; 10]>::deserialize(deserializer).map(|_| Self(PhantomData))
    }
}

#[test]
fn it_ends_whatever_the_type_does() {
    type W3<T> = Wide<Wide<Wide<T>>>;
    let start = Instant::now();
    assert_eq!(of::<Greedy>(), of::<Greedy>());
    assert_eq!(of::<Panics>(), of::<Panics>());
    assert_eq!(of::<W3<W3<W3<u8>>>>(), of::<W3<W3<W3<u8>>>>());
    all_differ!(Greedy, Panics, W3<W3<u8>>);
    assert!(start.elapsed() < Duration::from_secs(20));
}
