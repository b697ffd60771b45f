//! What writers may say.

use super::*;

fn through(args: &TokenStream, function: TokenStream) -> Vec<String> {
    check_cached(quote!(pattern = "write-through", #args), function)
}

fn behind(args: &TokenStream, function: TokenStream) -> Vec<String> {
    check_cached(quote!(pattern = "write-behind", #args), function)
}

#[test]
fn write_through_takes_what_it_is_documented_to() {
    let function = quote!(
        async fn save(&mut self, tx: &mut Tx, user: &User) -> Result<User, Error> {}
    );
    let all = quote!(
        key = "user:<user.id>",
        ttl = 5,
        jitter = "1%",
        stale_if_error = 5,
        consistency = "strict",
        codec = "json",
        schema = 1,
        cache = self.cache,
        companion = false,
        value = user
    );
    assert_eq!(through(&all, function.clone()), [""; 0]);
    for args in [
        quote!(key = "user:<user.id>", ttl_with = f),
        quote!(
            key = "user:<user.org>:<return.id>",
            version = "<return.version>"
        ),
        quote!(
            key = "user:<user.id>",
            version = "<user.version>",
            consistency = "fenced"
        ),
    ] {
        assert_eq!(through(&args, function.clone()), [""; 0]);
    }
}

#[test]
fn each_pattern_says_of_each_argument_why_it_does_not_take_it() {
    let writer = quote!(
        async fn save(user: User) -> Result<(), Error> {}
    );
    let cases = [
        (
            PatternName::Aside,
            "aside",
            "value version merge batch_with flush batch max_pending when_full",
        ),
        (
            PatternName::WriteThrough,
            "write-through",
            "stampede refresh_after beta negative_ttl timeout skip merge batch_with flush batch max_pending when_full",
        ),
        (
            PatternName::WriteBehind,
            "write-behind",
            "stampede refresh_after beta negative_ttl timeout consistency version skip",
        ),
    ];
    for (name, pattern, refused) in cases {
        for refused in refused.split(' ') {
            let argument = Ident::new(refused, Span::call_site());
            // Whatever the value: nothing more is said of an argument that is not taken.
            let args = quote!(pattern = #pattern, key = "user:<user.id>", #argument = 0);
            let errors = check_cached(args, writer.clone());
            assert_eq!(errors.len(), 1, "{pattern}, {refused}: {errors:?}");
            assert!(
                errors[0].starts_with(&format!("`{refused}` is")),
                "{name:?}: {errors:?}"
            );
        }
    }
}

#[test]
fn a_misspelled_pattern_is_the_only_thing_said() {
    let writer = quote!(
        async fn save(id: u64, user: &mut User, name: String) {}
    );
    let args = quote!(pattern = "write-thru", key = "user:<id>", value = name);
    let errors = check_cached(args, writer);
    assert_eq!(
        errors,
        ["`pattern` cannot be \"write-thru\"; did you mean `write-through`?"]
    );
}

#[test]
fn a_write_through_key_is_known_before_the_body_unless_there_is_a_version() {
    let function = quote!(
        async fn save(users: Vec<User>, user: User) -> Result<User, Error> {}
    );
    for args in [
        quote!(key = "user:<return.id>"),
        quote!(key = "user:<users[].id>"),
        quote!(key = "user:<return.ids[]>", version = "<return.version>"),
        quote!(key = "user:<user.id>", version = "<users[].version>"),
        quote!(key = "user:<user.id>", version = "<return.a>:<return.b>"),
        quote!(key = "user:<user.id>", version = "5"),
        quote!(
            key = "user:<user.id>",
            version = "<return.v>",
            consistency = "strict"
        ),
        quote!(
            key = "user:<user.id>",
            version = "<return.v>",
            consistency = "eventual"
        ),
        quote!(value = user),
    ] {
        let errors = through(&args, function.clone());
        assert_eq!(errors.len(), 1, "{args}: {errors:?}");
    }
}

#[test]
fn what_cannot_be_copied_before_the_body_is_no_value() {
    for argument in [
        quote!(x: &mut User),
        quote!(x: Option<&str>),
        quote!(x: impl Clone),
        quote!(x: &dyn Any),
        quote!((x, y): (u8, u8)),
    ] {
        let function = quote!(async fn save(id: u64, #argument) -> u8 {});
        let errors = through(&quote!(key = "a:<id>", value = x), function);
        assert_eq!(errors.len(), 1, "{argument}: {errors:?}");
    }
    for argument in [
        quote!(x: &str),
        quote!(x: &[u8]),
        quote!(mut x: Option<User>),
        quote!(x: &'static str),
    ] {
        let function = quote!(async fn save(id: u64, #argument) {});
        assert_eq!(
            through(&quote!(key = "a:<id>", value = x), function),
            [""; 0]
        );
    }
}

#[test]
fn write_behind_takes_what_it_is_documented_to() {
    let function = quote!(
        async fn count(
            #[context] db: &Db,
            page: u64,
            views: u64,
            #[sequence] n: i64,
        ) -> Result<(), E> {
        }
    );
    let all = quote!(
        key = "page:<page>",
        merge = add,
        batch_with = count_all,
        flush = "1ms",
        batch = 100_000,
        max_pending = 1,
        when_full = "through",
        codec = "json",
        schema = 1,
        cache = cache(),
        companion = false
    );
    assert_eq!(behind(&all, function.clone()), [""; 0]);
    let value = quote!(
        key = "page:<page>",
        value = views,
        ttl = 5,
        jitter = "1%",
        stale_if_error = 5
    );
    assert_eq!(behind(&value, function.clone()), [""; 0]);
    assert_eq!(
        behind(&quote!(key = "page:<page>", value = none), function),
        [""; 0]
    );
}

#[test]
fn what_readers_see_is_said_or_plain() {
    let plain = [
        (
            "user:<user.id>",
            quote!(
                async fn f(user: User) -> Result<(), E> {}
            ),
        ),
        (
            "user:<org>:<user.id>",
            quote!(
                async fn f(org: u8, user: &User, #[context] db: Db) -> Result<(), E> {}
            ),
        ),
    ];
    for (key, function) in plain {
        assert_eq!(behind(&quote!(key = #key), function), [""; 0]);
    }
    let asked = [
        (
            "user:<id>",
            quote!(
                async fn f(id: u8, name: String) -> Result<(), E> {}
            ),
        ),
        (
            "user:<user.id>",
            quote!(
                async fn f(user: User, name: String) -> Result<(), E> {}
            ),
        ),
        (
            "user:<a.id>:<b.id>",
            quote!(
                async fn f(a: User, b: User) -> Result<(), E> {}
            ),
        ),
        (
            "user:<id>",
            quote!(
                async fn f(id: u8) -> Result<(), E> {}
            ),
        ),
        (
            "all",
            quote!(
                async fn f() -> Result<(), E> {}
            ),
        ),
    ];
    for (key, function) in asked {
        let errors = behind(&quote!(key = #key), function);
        assert_eq!(errors.len(), 1, "{key}: {errors:?}");
        assert!(
            errors[0].starts_with("say what readers see"),
            "{key}: {errors:?}"
        );
    }
    let function = quote!(
        async fn f(id: u8, n: u8) -> Result<(), E> {}
    );
    for args in [
        quote!(key = "a:<id>", merge = f, value = n),
        quote!(key = "a:<id>", merge = f, value = none),
        quote!(key = "a:<id>:<n>", merge = f),
        quote!(key = "a:<id>", value = none, ttl = 5),
        quote!(key = "a:<id>", merge = f, ttl_with = f),
        quote!(key = "a:<id>", value = m),
    ] {
        let errors = behind(&args, function.clone());
        assert_eq!(errors.len(), 1, "{args}: {errors:?}");
    }
}

#[test]
fn what_a_log_cannot_keep_or_a_worker_cannot_run_is_refused() {
    for inputs in [
        quote!(a: &mut u8),
        quote!(a: Option<&str>),
        quote!(a: &'static str),
        quote!(a: impl Clone),
        quote!(a: &dyn Any),
        quote!((a, b): (u8, u8)),
        quote!(&self),
        quote!(self: Arc<Repo>),
        quote!(#[context] a: &mut Db),
        quote!(#[context] a: &dyn Db),
        quote!(#[context] a: &[u8]),
        quote!(#[context] a: impl Db),
        quote!(#[context] a: Db<'_>),
        quote!(#[context(x)] a: Db),
        quote!(#[context] #[sequence] a: u64),
        quote!(#[sequence] a: u64, #[sequence] b: u64),
    ] {
        let function = quote!(async fn f(#inputs) -> Result<(), E> {});
        let errors = behind(&quote!(key = "all", value = none), function);
        assert_eq!(errors.len(), 1, "{inputs}: {errors:?}");
    }
    for generics in [quote!(<'a>), quote!(<T>), quote!(<const N: usize>)] {
        let function = quote!(async fn f #generics() -> Result<(), E> {});
        let errors = behind(&quote!(key = "all", value = none), function);
        assert_eq!(errors.len(), 1, "{generics}: {errors:?}");
    }
}

#[test]
fn what_the_cache_hands_in_is_no_argument_of_the_call() {
    let function = quote!(
        async fn f(#[context] db: &Db, id: u64, #[sequence] n: u64) -> Result<(), E> {}
    );
    for args in [
        quote!(key = "a:<db>", value = none),
        quote!(key = "a:<db.tenant>", value = none),
        quote!(key = "a:<n>", value = none),
        quote!(key = "a:<id>", value = db),
        quote!(key = "a:<id>", value = none, cache = db.cache),
    ] {
        let errors = behind(&args, function.clone());
        assert_eq!(errors.len(), 1, "{args}: {errors:?}");
        assert!(errors[0].contains("is handed in"), "{errors:?}");
    }
    // Nor after an error: callers leave it out in either case.
    let function: Function = syn::parse2(function).expect("a function");
    let emitted = function.unchanged().to_string();
    assert!(emitted.contains("async fn f (id : u64)"), "{emitted}");
    assert!(!emitted.contains("context"), "{emitted}");
}
