//! The attribute macros of `cache-runtime`, which re-exports them. Name that crate, not this one.
//!
//! [`macro@cached`] keeps what an async function returns, [`macro@invalidates`] removes what a write makes old. The macros turn an
//! annotation into a static description and one call of the runtime; they hold no caching logic.

mod args;
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
/// `Ok` and `Some` are taken off by type, so that a type alias works as well; what is inside them is stored, and `Err` and
/// `None` never are. The value has to be `Clone`, `Serialize`, `DeserializeOwned`, `Send`, `Sync` and `'static`. An `Arc` is
/// stored and handed out as it is. A cache that is away, hung or full never makes the function fail: its body runs.
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
/// A float or a struct is an error that says what to do.
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
/// What happens when many callers miss one key at once. `"lock"`, the default: one of them loads and the others wait for it, in this
/// process and across processes; if the one that loads fails, panics or dies, another takes over, at worst when its lease
/// expires (5 s by default). `"none"`: each of them loads, for loaders so cheap that waiting costs more.
///
/// ```
/// # use cache_runtime::cached;
/// #[cached(key = "now:<zone>", ttl = 1, stampede = "none")]
/// async fn now(zone: &str) -> String {
///     zone.to_owned()
/// }
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
