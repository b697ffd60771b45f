//! What is accepted, what is refused, and that all of it is said at once.

mod writers;

use super::*;
use proc_macro2::{Span, TokenStream};
use quote::quote;

fn check_cached(args: TokenStream, function: TokenStream) -> Vec<String> {
    let mut errors = Diagnostics::default();
    let function: Function = syn::parse2(function).expect("a function");
    let args = crate::args::parse_named(args, &mut errors);
    cached(&args, &function, &mut errors);
    errors.messages()
}

fn loader() -> TokenStream {
    quote!(
        async fn load_user(db: &Db, id: u64) -> Result<User, Error> {}
    )
}

#[test]
fn every_argument_of_aside_is_accepted() {
    let args = quote!(
        pattern = "aside",
        key = "user:<id>",
        ttl = "1h30m",
        stampede = "none",
        consistency = "strict",
        codec = "json",
        cache = db.cache(),
        schema = 3,
        companion = true
    );
    assert_eq!(check_cached(args, loader()), [""; 0]);
    assert_eq!(check_cached(quote!(skip(db), ttl = 90), loader()), [""; 0]);
}

fn one_error(args: &TokenStream) -> String {
    let errors = check_cached(args.clone(), loader());
    assert_eq!(errors.len(), 1, "{args}: {errors:?}");
    errors[0].clone()
}

#[test]
fn every_argument_of_time_is_accepted() {
    let args = quote!(
        key = "user:<id>",
        ttl = "10m",
        jitter = "10%",
        stampede = "lock + early + swr",
        refresh_after = "1m",
        beta = 1.5,
        stale_if_error = "1h",
        negative_ttl = 30
    );
    assert_eq!(check_cached(args, loader()), [""; 0]);
    let args = quote!(key = "user:<id>", ttl_with = Self::ttl);
    assert_eq!(check_cached(args, loader()), [""; 0]);
}

#[test]
fn a_mode_and_its_arguments_come_together() {
    assert!(one_error(&quote!(stampede = "swr")).starts_with("`swr` needs the age"));
    assert_eq!(
        one_error(&quote!(refresh_after = 5)),
        "`refresh_after` is for `swr`: add `stampede = \"lock+swr\"`, or leave it out"
    );
    assert_eq!(
        one_error(&quote!(beta = 2, stampede = "lock")),
        "`beta` is for `early`: write `stampede = \"lock+early\"`, or leave it out"
    );
    assert_eq!(
        one_error(&quote!(beta = 2, stampede = "none")),
        "`beta` is for `early`: write `stampede = \"early\"`, or leave it out"
    );
    assert!(
        one_error(&quote!(stampede = "swr", refresh_after = "5m", ttl = 300))
            .contains("shorter than `ttl`, which is 300")
    );
    assert!(one_error(&quote!(ttl = 5, ttl_with = f)).contains("exclude each other"));
}

#[test]
fn a_wrong_value_is_the_only_thing_said_of_its_mode() {
    one_error(&quote!(stampede = "srw", refresh_after = 5));
    one_error(&quote!(stampede = "swr", refresh_after = 0));
    one_error(&quote!(stampede = "early", beta = 0));
    assert_eq!(
        one_error(&quote!(stampede = "lock+lock")),
        "`lock` is given twice"
    );
    one_error(&quote!(stampede = "none+lock"));
    one_error(&quote!(stampede = ""));
    one_error(&quote!(ttl_with = 5));
}

fn errors_of(args: TokenStream, function: TokenStream) -> Vec<String> {
    let shown = function.to_string();
    let errors = check_cached(args, function);
    assert!(!errors.is_empty(), "{shown}");
    errors
}

#[test]
fn what_a_background_load_cannot_keep_is_refused() {
    let swr = quote!(key = "a", stampede = "swr", refresh_after = 5);
    for function in [
        quote!(
            async fn f(a: Option<&str>) -> u8 {}
        ),
        quote!(
            async fn f(a: &[&str]) -> u8 {}
        ),
        quote!(
            async fn f(a: Query<'_>) -> u8 {}
        ),
        quote!(
            async fn f((a, b): (&str, u8)) -> u8 {}
        ),
        quote!(
            async fn f(a: &dyn Display) -> u8 {}
        ),
        quote!(
            async fn f(a: &(dyn Display + Sync)) -> u8 {}
        ),
        quote!(
            async fn f(a: &impl Display) -> u8 {}
        ),
        quote!(
            async fn f(Query { a }: &Query) -> u8 {}
        ),
        quote!(
            async fn f(self: Pin<&Self>) -> u8 {}
        ),
        quote!(
            async fn f(&self) -> u8 {
                println!("{self}");
                1
            }
        ),
    ] {
        assert_eq!(errors_of(swr.clone(), function).len(), 1);
    }
    for function in [
        quote!(
            async fn f<'a>(a: &'a str, b: &[u8], _: &Db) -> u8 {}
        ),
        quote!(
            async fn f(a: &'static str, b: Box<dyn Fn(&str) -> u8>) -> u8 {}
        ),
        quote!(
            async fn f(&self, (a, b): (u8, u8), c: impl Display) -> u8 {}
        ),
    ] {
        assert_eq!(check_cached(swr.clone(), function), [""; 0]);
    }
}

#[test]
fn a_batch_loader_walks_over_one_argument() {
    let function = quote!(
        async fn f(ids: &[u64], orgs: &[u64], order: &Order) -> Vec<Option<u8>> {}
    );
    for key in ["<ids[]>", "<ids[].a>:<ids[].b>", "<order.id>:<ids[]>"] {
        assert_eq!(check_cached(quote!(key = #key), function.clone()), [""; 0]);
    }
    for key in ["<ids[]>:<orgs[]>", "<order.ids[]>"] {
        assert_eq!(errors_of(quote!(key = #key), function.clone()).len(), 1);
    }
    for function in [
        quote!(
            async fn f(self, ids: &[u64]) -> Vec<Option<u8>> {}
        ),
        quote!(
            async fn f(ids: [u64; 3]) -> Vec<Option<u8>> {}
        ),
        quote!(
            async fn f(ids: &impl KeyElements) -> Vec<Option<u8>> {}
        ),
        quote!(
            async fn f((ids, b): (Vec<u64>, u8)) -> Vec<Option<u8>> {}
        ),
    ] {
        assert_eq!(errors_of(quote!(key = "<ids[]>"), function).len(), 1);
    }
    let single = quote!(
        key = "<ids[]>",
        timeout = 5,
        stampede = "early+swr",
        refresh_after = 1
    );
    assert_eq!(errors_of(single, function).len(), 2);
}

#[test]
fn all_errors_come_at_once() {
    let args = quote!(
        key = "user:<idd>",
        ttl = 0,
        tll = 5,
        flush = "10s",
        codec = "cbor",
        schema = "x",
        ttl = 3
    );
    assert_eq!(
        check_cached(
            args,
            quote!(
                fn load_user(id: u64) -> User {}
            )
        )
        .len(),
        8
    );
}
