//! Nothing that a user declares breaks the expansion, and the expansion leaks nothing but the companion.
#![deny(warnings)]
#![allow(non_camel_case_types, dead_code, unused_macros, non_upper_case_globals)]

use ::cache_runtime::{cached as memo, invalidates as forgets};

mod std {}
mod core {}
mod cache_runtime {}
mod serde {}
mod alloc {}

enum Looks {
    Some,
    None,
    Ok,
    Err,
}
use Looks::{Err, None, Ok, Some};

struct Result;
struct Option;
struct String;
struct Vec;
struct Box;
struct F;
#[derive(Clone)]
struct Key;
struct Keys;
struct KeyWriter;
struct Probe;
struct Spec;
struct ViaPlain;
struct Future;
struct SPEC;
const answer: u8 = 1;
static __shown: u8 = 1;

macro_rules! module_path {
    () => {
        compile_error!("the user's own")
    };
}
macro_rules! file {
    () => {
        compile_error!("the user's own")
    };
}
macro_rules! line {
    () => {
        compile_error!("the user's own")
    };
}
macro_rules! concat {
    ($($t:tt)*) => {
        compile_error!("the user's own")
    };
}

trait Shadow: Sized {
    fn literal(self) {}
    fn part(self) {}
    fn finish(self) {}
    fn run(self) {}
    fn push(self) {}
    fn elements(self) {}
}
impl<T> Shadow for T {}

#[memo(key = "a:<cache>:<key>", ttl = 5)]
async fn load(
    cache: u8,
    key: u8,
    out: u8,
    spec: u8,
) -> ::core::result::Result<::core::option::Option<u8>, u8> {
    let __cache_key = (SPEC, answer, __shown, Some, None, Ok, Err);
    drop(__cache_key);
    ::core::result::Result::Ok(::core::option::Option::Some(cache + key + out + spec))
}

#[memo]
async fn put(value_: u8, load: u8) -> u8 {
    value_ + load
}

#[memo(key = "late:<own>", stampede = "swr", refresh_after = 1, timeout = 2)]
async fn late(
    own: &str,
    body: &u8,
    lend: &[u8],
) -> ::core::result::Result<u8, ::cache_runtime::Error> {
    let __cache_body = (SPEC, answer, __shown, Some, None, Ok, Err);
    drop(__cache_body);
    let _ = own;
    ::core::result::Result::Ok(*body + lend[0])
}

#[memo(key = "all:<keys[]>:<form>")]
async fn all(keys: &[u8], form: u8, part: Key) -> ::std::collections::HashMap<u8, u8> {
    let __cache_part = (SPEC, answer, __shown, Some, None, Ok, Err, part);
    drop(__cache_part);
    keys.iter().map(|key| (*key, form)).collect()
}

#[forgets("a:<keys>:<ret>", "b:<return>", "c:<all[]>")]
async fn write(keys: u8, ret: u8, all: [u8; 0]) -> ::core::result::Result<u8, u8> {
    let _ = all;
    ::core::result::Result::Ok(keys + ret)
}

#[memo(pattern = "write-through", key = "d:<shape>", value = written, version = "<version>")]
async fn through(shape: u8, written: u8, version: u8) -> ::core::result::Result<u8, u8> {
    let __cache_shape = (SPEC, answer, __shown, Some, None, Ok, Err);
    drop(__cache_shape);
    ::core::result::Result::Ok(shape + written + version)
}

#[memo(pattern = "write-behind", key = "e:<contexts>", merge = merged, batch_with = batched)]
async fn behind(
    #[context] sequence: &u8,
    contexts: u8,
    arguments: u8,
    #[sequence] keeper: u64,
    log: &str,
    copy: &[u8],
) -> ::core::result::Result<(), ::cache_runtime::Error> {
    let __cache_contexts = (SPEC, answer, __shown, Some, None, Ok, Err);
    drop(__cache_contexts);
    let _ = (sequence, contexts, arguments, keeper, log, copy);
    ::core::result::Result::Ok(())
}

type Part = (u8, ::std::string::String, ::std::vec::Vec<u8>);

fn merged(earlier: &mut Part, later: Part) {
    *earlier = later;
}

async fn batched(
    sequence: &u8,
    writes: ::std::vec::Vec<
        ::cache_runtime::Write<(u8, u8, ::std::string::String, ::std::vec::Vec<u8>)>,
    >,
) -> ::core::result::Result<(), ::cache_runtime::Error> {
    let _ = (sequence, writes);
    ::core::result::Result::Ok(())
}

fn main() {
    drop(through(1, 2, 3));
    drop(behind(1, 2, "a", &[]));
    drop(behind::key(1));
    drop(write(1, 2, []));
    drop(put(1, 2));
    drop(load(1, 2, 3, 4));
    drop(load::key(1, 2));
    drop(all(&[1], 2, Key));
    drop(all::keys(&[1], 2));
    drop(Looks::Some);
}
