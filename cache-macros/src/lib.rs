//! The attribute macros of `cache-runtime`, which re-exports them. Name that crate, not this one.
//!
//! [`macro@cached`] keeps what an async function returns, [`macro@invalidates`] removes what a write makes old. The macros turn an
//! annotation into a static description and one call of the runtime; they hold no caching logic.

mod args;
mod body;
mod diagnostics;
mod duration;
mod expand;
mod function;
mod model;
mod template;
mod validate;

use diagnostics::Diagnostics;
use function::Function;
use proc_macro::TokenStream;
use quote::quote;

/// Keeps what an async function returns.
///
/// ```
/// # use cache_runtime::cached;
/// # struct Db;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)] struct User { id: u64 }
/// # #[derive(Clone)] struct DbError;
/// #[cached(key = "user:<id>", ttl = 300)]
/// async fn load_user(db: &Db, id: u64) -> Result<Option<User>, DbError> {
///     // Runs on a miss only.
///     # let _ = db;
///     Ok(Some(User { id }))
/// }
/// ```
///
/// `Ok` and `Some` are taken off by type, so that a type alias works as well; what is inside them is stored. `Err` never is, and
/// `None` only with [`negative_ttl`](#negative_ttl). The value has to be `Clone`, `Serialize`, `DeserializeOwned`, `Send`, `Sync` and `'static`. An `Arc` is
/// stored and handed out as it is. A cache that is away, hung or full never makes the function fail: its body runs.
///
/// When a load fails, the callers that wait for it get a copy of its error if the error type is `Clone`. If it is not, the next of
/// them loads: each caller runs at most one load itself, and none waits for more than the time of three.
///
/// # Which functions
///
/// Free functions, methods with `&self`, `self` or `self: Arc<Self>`, implementations and default methods of traits,
/// with generics, `where` clauses, const generics, lifetimes, `impl Trait` arguments and patterns as arguments. Not:
/// functions that are not async, take `&mut`, or return a borrow or nothing.
///
/// # The companion
///
/// A free function `load_user` gets a struct of the same name beside it (in the type namespace, where no function is), with
/// calls that take the arguments the key needs:
///
/// ```
/// # use cache_runtime::cached;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), cache_runtime::Error> {
/// #[cached(key = "square:<n>")]
/// async fn square(log: &str, n: u64) -> u64 {
///     println!("{log}");
///     n * n
/// }
///
/// assert_eq!(square::key(4).as_str(), "square:4");
/// assert_eq!(square::peek(4).await, None); // what a call would return if it is a hit
/// square::put(4, 16).await?; // stores
/// assert_eq!(square("never printed", 4).await, 16);
/// square::invalidate(4).await?; // removes
/// assert_eq!(square::refresh("printed", 4).await, 16); // loads even on a hit, takes all arguments
/// assert_eq!(square::SPEC.template(), "square:<n>"); // the annotation as data
/// # Ok(())
/// # }
/// ```
///
/// # Batches
///
/// With `<ids[]>` in its template a function loads a list of elements, each with an entry of its own:
///
/// ```
/// # use std::collections::HashMap;
/// # use cache_runtime::cached;
/// # struct Db;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)] struct User { id: u64 }
/// # #[derive(Clone, Debug)] struct DbError;
/// #[cached(key = "user:<ids[]>", negative_ttl = "10s")]
/// async fn load_users(db: &Db, ids: &[u64]) -> Result<HashMap<u64, User>, DbError> {
///     // `ids` are those that are missing.
///     # let _ = db;
///     Ok(ids.iter().map(|&id| (id, User { id })).collect())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let users = load_users(&Db, &[1, 2, 3]).await.unwrap();
/// assert_eq!(users.len(), 3);
/// assert_eq!(load_users::keys(&[1, 2])[1].as_str(), "user:2");
/// load_users::invalidate(&[1, 2]).await?;
/// # Ok(())
/// # }
/// ```
///
/// All elements are looked up at once, the body is called with those that are missing, and what it returns is stored in one round trip,
/// each element under a lease of its own. Elements that another caller is loading are awaited rather than loaded twice, and then the body
/// may run once more for those that did not come of it; an element that is given twice is loaded once. The entries are shared with a single loader of the
/// same template, here `key = "user:<id>"`, whose writers invalidate both.
///
/// The list is an argument of its own: a slice, `Vec`, `VecDeque`, `BTreeSet` or `HashSet`, by reference or not. `<ids[].tenant>:<ids[].id>`
/// names parts of an element; the other arguments stand in the template as ever. The function returns a `HashMap` or `BTreeMap` by element
/// (for `&[&str]` by `String`), or, for a slice, `Vec` or `VecDeque`, a `Vec<Option<T>>` in the order of the list, by itself or in a `Result`. What a map leaves out, or
/// is `None`, is cached as [`negative_ttl`](#negative_ttl) says. Arguments that are not references have to be `Clone`, and the receiver is `&self`.
/// `stampede` is `"lock"` or `"none"`, and there is no `timeout`. The companion has `keys` for `key`, and no `peek` and `put`.
///
/// # Arguments
///
/// ## `key`
///
/// A template: literal text, and placeholders that name arguments and fields of them, `<id>`, `<user.org.id>`, `<pair.0>`,
/// `<self.tenant>`, or const generics; `<<` is a literal `<`. Values are escaped and two placeholders must have a `:` between
/// them, so that different arguments never give one key. By default the key is the path of the function (and the type of `Self`, the
/// types of the type parameters) and every argument. Functions with one template share entries, which is how writers and several loaders
/// meet; they should return the same type then.
///
/// ```
/// # use cache_runtime::cached;
/// struct Query { tenant: u32, text: String }
///
/// #[cached(key = "search:<query.tenant>:<query.text>:<page>")]
/// async fn search(query: &Query, page: u32) -> Vec<String> {
///     vec![format!("{} {page}", query.text)]
/// }
/// # let query = Query { tenant: 1, text: "a:b".to_owned() };
/// assert_eq!(search::key(&query, 2).as_str(), "search:1:a%3Ab:2");
/// ```
///
/// Each value has to be a `KeyPart`: integers, strings, `bool`, addresses, options, lists and tuples of those are.
/// A float or a struct is an error that says what to do. `<ids[]>` makes a [batch loader](#batches).
///
/// ## `skip`
///
/// Names the arguments that are not part of the default key: a database handle, or what does not change the result. It is
/// an error together with `key`. An argument skipped by mistake makes calls share an entry that should not.
///
/// ```
/// # use cache_runtime::cached;
/// # struct Db;
/// #[cached(skip(db))]
/// async fn count(db: &Db, table: &str) -> u64 {
///     # let _ = db;
///     table.len() as u64
/// }
/// # assert!(count::key("users").as_str().ends_with("::count:users"));
/// ```
///
/// ## `ttl`
///
/// How long an entry may be served, in whole seconds or as text: `"90s"`, `"5m"`, `"1h30m"`, `"2d"`, `"250ms"`. From 1 ms to ten
/// years; by default that of the cache, 300 seconds. It bounds how old a value can be whatever else goes wrong: a
/// writer that is not annotated, a process killed between its commit and its invalidation.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(key = "rates", ttl = "1h30m")]
/// async fn rates() -> Vec<u32> {
///     vec![1, 2, 3]
/// }
/// assert_eq!(rates::SPEC.ttl().map(|ttl| ttl.as_secs()), Some(5400));
/// ```
///
/// ## `ttl_with`
///
/// The path of a `fn(&T) -> Option<Duration>` that takes the TTL from each value, in place of `ttl`. `None`: the value is returned and not
/// stored. At worst a value is stale for as long as the function said of it.
///
/// ```
/// # use std::time::Duration;
/// # use cache_runtime::cached;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)] struct Token { text: String, valid_s: u64 }
/// fn until_it_ends(token: &Token) -> Option<Duration> {
///     (token.valid_s > 10).then(|| Duration::from_secs(token.valid_s - 10))
/// }
///
/// #[cached(key = "token:<user>", ttl_with = until_it_ends)]
/// async fn token(user: u64) -> Result<Token, String> {
///     Ok(Token { text: user.to_string(), valid_s: 5 })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// token(1).await.unwrap();
/// assert!(token::peek(1).await.is_none()); // too short to be stored
/// # }
/// ```
///
/// ## `jitter`
///
/// A percentage from `"0%"`, the default, to `"99%"`: each TTL, and `refresh_after` with it, is shortened by a random part of itself up to
/// that share, so that entries which were stored together do not expire together. It is never lengthened: nothing is stale for longer.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(key = "city:<id>", ttl = "1h", jitter = "10%")] // from 54 to 60 minutes
/// async fn city(id: u64) -> String {
///     id.to_string()
/// }
/// assert_eq!(city::SPEC.jitter_share(), 0.1);
/// ```
///
/// ## `negative_ttl`
///
/// How long `None` is cached, as a duration like `ttl`; by default it is not cached at all. For functions that return `Option<T>` or
/// `Result<Option<T>, E>`, and for batches. At worst what has come into being without an invalidation is not seen for that long.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(key = "nick:<name>", negative_ttl = "10s")]
/// async fn nick(name: &str) -> Result<Option<String>, String> {
///     Ok(name.split_once(' ').map(|(first, _)| first.to_owned()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(nick("Ada").await, Ok(None));
/// assert_eq!(nick::peek("Ada").await, Some(Ok(None))); // a hit
/// # }
/// ```
///
/// ## `pattern`
///
/// `"aside"`, the default: look the key up, and on a miss run the body, store its result and return it.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(pattern = "aside", key = "answer")]
/// async fn answer() -> u64 {
///     42
/// }
/// ```
///
/// ## `stampede`
///
/// What happens when many callers want one key at once, and when its value grows old; modes are joined by `+`:
///
/// | mode | |
/// | --- | --- |
/// | `"lock"`, the default | one caller loads and the others wait for it, in this process and across processes; if it fails, panics or dies, another takes over, at worst when its lease expires (5 s by default) |
/// | `"early"` | a hit loads anew before the value expires, the likelier the closer that is; see [`beta`](#beta) |
/// | `"lock+early"` | of the hits that would load, one does, and the others are served the value, which is still good |
/// | `"swr"` | past [`refresh_after`](#refresh_after) the value is served while one load in the background replaces it |
/// | `"none"`, alone | each caller that misses loads, for loaders so cheap that waiting costs more |
///
/// A key without a value is loaded by one caller at a time in every mode but `"none"`. No mode serves a value past its TTL. Where loads leave
/// nothing behind for other processes, because they fail, find nothing or are invalidated meanwhile, a caller that has waited for two of them waits for no third: each
/// process then loads for itself, still one at a time, so that the last caller has its answer after four loads' time and not after one for each process.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(key = "now:<zone>", ttl = 1, stampede = "none")]
/// async fn now(zone: &str) -> String {
///     zone.to_owned()
/// }
/// ```
///
/// ## `beta`
///
/// How eager `early` is, a number above 0; by default 1. A hit loads anew if `age + delta * beta * -ln(random) >= ttl`, where `delta` is how
/// long the last load took (XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015). A key that is read
/// all the time is loaded e^(1/beta) times a generation in the mean, and once with `"lock+early"`. If such a load fails, the value is served until its TTL.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(key = "top:<list>", ttl = "1m", stampede = "lock+early", beta = 1.5)]
/// async fn top(list: &str) -> Vec<u64> {
///     # let _ = list;
///     vec![3, 1, 2]
/// }
/// assert_eq!(top::SPEC.beta_factor(), 1.5);
/// ```
///
/// ## `refresh_after`
///
/// The age from which on `swr` replaces a value, as a duration like `ttl`, and shorter. The caller gets the value that is there at once, and one
/// load, in one of all processes, replaces it in the background. At worst a value is as old as its TTL: past that it is not served, and callers wait for
/// a load. A load that fails keeps the value; the next is tried after 0.5 s, and each further pause is twice as long, up to 60 s.
///
/// The load may go on when its call has ended, so it takes copies of what the body borrows: a `&str`, a `&[T]`, a `&Pool` or `&self` that is
/// `Clone + Send + Sync + 'static`. A borrow inside of a type, as in `Option<&str>`, is an error that says what to do. It runs in a task of its
/// own, with the scope of [`Cache::scope`](../cache_runtime/struct.Cache.html#method.scope) but none of the caller's own task-locals or spans, and is given up when it hangs until the TTL is over
/// (at the earliest after ten times the lease's time, or the `timeout`).
///
/// A `refresh_after` that is not shorter than the TTL in force (the cache's default, one by `ttl_with`) never comes to anything.
///
/// ```
/// # use cache_runtime::cached;
/// #[derive(Clone)]
/// struct Pool;
///
/// #[cached(key = "feed:<user>", ttl = "10m", stampede = "lock+swr", refresh_after = "1m")]
/// async fn feed(pool: &Pool, user: &str) -> Result<Vec<String>, String> {
///     # let _ = pool;
///     Ok(vec![format!("for {user}")])
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # assert!(feed(&Pool, "ada").await.is_ok());
/// # }
/// ```
///
/// ## `stale_if_error`
///
/// How long past its TTL a value may be returned when its load fails or is late, as a duration; by default not at all. Such a result counts as
/// `stale_on_error` in the statistics. The entry is kept that much longer, and otherwise not served past its TTL. At worst a value is as old as
/// its TTL and this together; an invalidation removes it all the same.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(key = "rate:<currency>", ttl = "1m", stale_if_error = "1h")]
/// async fn rate(currency: &str) -> Result<u64, String> {
///     # let _ = currency;
///     Ok(105)
/// }
/// assert_eq!(rate::SPEC.stale_if_error().as_secs(), 3600);
/// ```
///
/// ## `timeout`
///
/// How long a caller waits for a load, its own or another's, as a duration; by default as long as it takes. Past that it gets the old value where
/// `stale_if_error` allows, else `Error::Timeout`, so that the function has to return a `Result` whose error type is
/// `From<cache_runtime::Error>`. The load goes on in the background and is stored; after ten times the timeout it is given up. As with
/// [`refresh_after`](#refresh_after) every load of the function runs in a task of its own, on copies of what the body borrows; dropping the call does not end it.
///
/// ```
/// # use std::time::Duration;
/// # use cache_runtime::{Error, cached};
/// #[cached(key = "report:<id>", timeout = "20ms")]
/// async fn report(id: u64) -> Result<String, Error> {
///     tokio::time::sleep(Duration::from_secs(60)).await;
///     Ok(id.to_string())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert!(matches!(report(1).await, Err(Error::Timeout(_))));
/// # }
/// ```
///
/// ## `consistency`
///
/// What may be stale after a write, at worst:
///
/// | level | stale | how long |
/// | --- | --- | --- |
/// | `"eventual"` | a load that began before an invalidation may store its value after it | until the TTL |
/// | `"fenced"`, the default | only if a process or server is lost between the commit and the invalidation | until the TTL, or until the kept invalidation is delivered |
/// | `"strict"` | nothing while the server keeps what it acknowledged | after a crash readers bypass the cache until the intent expires, 10 s by default |
///
/// `"strict"` needs writers that are `"strict"` too.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(key = "balance:<account>", consistency = "strict")]
/// async fn balance(account: u64) -> i64 {
///     # let _ = account;
///     100
/// }
/// ```
///
/// ## `codec`
///
/// How the bytes of an entry are written in a remote backend: `"bincode"`, `"postcard"`, `"msgpack"` or `"json"`, each a
/// feature of `cache-runtime`; by default that of the cache, bincode. In memory nothing is encoded. bincode and postcard cannot
/// read back untagged or flattened fields and `serde_json::Value`: such a type is never stored, and a warning names
/// the codec to choose.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(key = "labels:<id>", codec = "json")]
/// async fn labels(id: u64) -> Vec<String> {
///     vec![id.to_string()]
/// }
/// ```
///
/// ## `cache`
///
/// An expression over the arguments, of a type that is `AsRef<Cache>`: which cache. By default the one of the innermost `cache.scope(…)`, else
/// the one that was installed, else one in memory.
///
/// ```
/// # use cache_runtime::{Cache, cached};
/// struct Repo { cache: Cache }
///
/// impl Repo {
///     #[cached(key = "name:<id>", cache = self.cache)]
///     async fn name(&self, id: u64) -> String {
///         id.to_string()
///     }
/// }
/// ```
///
/// ## `schema`
///
/// An integer, 0 by default, that is part of each remote entry's fingerprint: raise it and entries from before are misses. A change
/// that serde can see in the type's shape needs no such help; a change of meaning does.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(key = "price:<sku>", schema = 2)] // in cents now
/// async fn price(sku: u64) -> u64 {
///     # let _ = sku;
///     1999
/// }
/// ```
///
/// ## `companion`
///
/// `false` leaves the companion out. An associated function that has no `self` and never says `Self` needs it: the macro sees
/// the function alone and takes it for a free one, and a struct cannot be declared inside an `impl`.
///
/// ```
/// # use cache_runtime::cached;
/// struct Users;
///
/// impl Users {
///     #[cached(key = "user-name:<id>", companion = false)]
///     async fn name(id: u64) -> String {
///         id.to_string()
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn cached(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    let mut errors = Diagnostics::default();
    let args = args::parse_named(args.into(), &mut errors);
    let Some(function) = annotated("#[cached]", &item, &mut errors) else {
        return with_errors(&item, errors);
    };
    let model = validate::cached(&args, &function, &mut errors);
    match model {
        Some(model) if errors.is_empty() => expand::cached(&model, &function).into(),
        model => with_errors(
            &expand::cached_with_errors(model.as_ref(), &function),
            errors,
        ),
    }
}

/// Removes what a write makes old.
///
/// ```
/// # use cache_runtime::invalidates;
/// # struct Db;
/// # struct DbError;
/// #[invalidates("user:<id>", "users-of:<org>")]
/// async fn move_user(db: &mut Db, id: u64, org: u32) -> Result<(), DbError> {
///     # let _ = (db, id, org);
///     Ok(())
/// }
/// ```
///
/// The keys are read from the arguments, the body runs, and the entries are removed: after `Ok`, after `Err` (a commit that failed
/// may have committed), after a panic, and when the future is dropped. The attribute can be stacked, and stands beside other
/// attributes. A backend that is away does not make the writer fail: the invalidation is kept and delivered later. Inside `cache.in_transaction(…)`
/// the entries are removed when the transaction has ended.
///
/// # Templates
///
/// As in [`macro@cached`], and further `<ids[]>` and `<order.lines[].sku>`: one key for each element of a slice, vector, set or option; and
/// `<return>`, `<return.id>`, `<return.tags[].name>`: the value inside `Ok` and `Some`. Without such a value the keys that read
/// it are left out. `<return…>` and the elements of an argument cannot stand in one template.
///
/// ```
/// # use cache_runtime::invalidates;
/// struct User { id: u64, groups: Vec<u32> }
///
/// #[invalidates("user:<return.id>", "group:<return.groups[]>", "name:<names[]>")]
/// async fn create(names: &[&str]) -> Result<User, String> {
///     # let _ = names;
///     Ok(User { id: 7, groups: vec![1, 2] })
/// }
/// ```
///
/// # Arguments
///
/// ## `when`
///
/// `when = "ok"`: only after `Ok` (or any return of a function that returns no `Result`). For a write that is known not to have happened when it
/// fails. At worst, where that is not so, the entry is stale until its TTL.
///
/// ```
/// # use cache_runtime::invalidates;
/// #[invalidates("user:<id>", when = "ok")]
/// async fn rename(id: u64, name: &str) -> Result<(), String> {
///     if name.is_empty() { Err(format!("{id}: no name")) } else { Ok(()) }
/// }
/// ```
///
/// ## `consistency`
///
/// `"strict"`: readers are told of the write before the body runs, and load for themselves until it has ended. If they cannot
/// be told, the body does not run and the function returns the error `Error::Refused`, so that its own error type has to be
/// `From<cache_runtime::Error>`. It excludes `when` and `<return…>`: neither is known before the body runs. By default
/// `"fenced"`; `"eventual"` is accepted, and does the same for a writer.
///
/// ```
/// # use cache_runtime::invalidates;
/// #[invalidates("balance:<account>", consistency = "strict")]
/// async fn withdraw(account: u64, amount: u64) -> Result<(), cache_runtime::Error> {
///     # let _ = (account, amount);
///     Ok(())
/// }
/// ```
///
/// ## `cache`
///
/// As in [`macro@cached`].
///
/// ```
/// # use cache_runtime::{Cache, invalidates};
/// struct Repo { cache: Cache }
///
/// impl Repo {
///     #[invalidates("name:<id>", cache = self.cache)]
///     async fn rename(&mut self, id: u64) {
///         # let _ = id;
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn invalidates(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    let mut errors = Diagnostics::default();
    let listed = args::parse_listed(args.into(), &mut errors);
    let Some(function) = annotated("#[invalidates]", &item, &mut errors) else {
        return with_errors(&item, errors);
    };
    match validate::invalidates(&listed, &function, &mut errors) {
        Some(model) if errors.is_empty() => expand::invalidates(&model, &function).into(),
        _ => with_errors(&function.unchanged(), errors),
    }
}

/// The item as a function. What is no function at all gets one error and is left alone.
fn annotated(
    macro_name: &str,
    item: &proc_macro2::TokenStream,
    errors: &mut Diagnostics,
) -> Option<Function> {
    let function = syn::parse2(item.clone()).ok();
    if function.is_none() {
        errors.at(
            function::keyword(item),
            format!("`{macro_name}` annotates an async function, and this is none"),
        );
    }
    function
}

fn with_errors(item: &proc_macro2::TokenStream, errors: Diagnostics) -> TokenStream {
    let errors = errors.into_tokens();
    quote!(#item #errors).into()
}
