//! A write-behind writer as the macros describe it, and as the worker sees it: without its types.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record;
use crate::backend::log::Payload;
use crate::backend::{Format, Stored};
use crate::cache::Inner;
use crate::codec;
use crate::entry::{fingerprint, roundtrip};
use crate::error::Error;
use crate::pattern::contexts::Contexts;
use crate::pattern::entries::{self, CacheValue};
use crate::pattern::known::Known;
use crate::shape::Shape;
use crate::spec::Spec;
use crate::stampede::stale;

/// What can be an argument of a write-behind writer: it is kept in the log until the body runs, maybe in another process, and maybe more than once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in the log of a write-behind writer",
    label = "not `Clone + Serialize + DeserializeOwned + Send + Sync + 'static`",
    note = "derive `Clone`, `serde::Serialize` and `serde::Deserialize` for it, or mark what the cache is to hand in, such as a pool, as `#[context]`"
)]
pub trait WriteArgument: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> WriteArgument for T {}

/// One of the writes of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Write<A> {
    /// The writer's arguments without its contexts and its sequence number: the argument itself if there is one, else a tuple.
    pub args: A,
    /// Its sequence number: of two writes of one key the later has the greater one. Below 2^63.
    pub sequence: u64,
}

/// Why a body failed.
pub struct Failure {
    pub(crate) text: String,
    pub(crate) error: Box<dyn Any + Send>,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An error that a body can fail with: its text is kept with the dead letter.
#[diagnostic::on_unimplemented(
    message = "the error of a write-behind writer has to be `Display + Send + 'static`",
    label = "its text is kept when the write is given up"
)]
pub trait BodyError: fmt::Display + Send + 'static {}

impl<E: fmt::Display + Send + 'static> BodyError for E {}

/// What a body came to.
pub type Ran = Result<(), Failure>;

/// A body that runs.
pub type Running = Pin<Box<dyn Future<Output = Ran> + Send>>;

/// Takes the types off a body's result.
pub fn outcome<E: BodyError>(result: Result<(), E>) -> Ran {
    result.map_err(|error| Failure {
        text: error.to_string(),
        error: Box::new(error),
    })
}

/// A parameter marked `#[sequence]`.
#[diagnostic::on_unimplemented(
    message = "a sequence number is a `u64` or an `i64`, not `{Self}`",
    label = "write `u64`, or `i64` for a database's `BIGINT`"
)]
pub trait FromSequence {
    /// The number in this type: it is below 2^63.
    fn from_sequence(sequence: u64) -> Self;
}

impl FromSequence for u64 {
    fn from_sequence(sequence: u64) -> Self {
        sequence
    }
}

impl FromSequence for i64 {
    fn from_sequence(sequence: u64) -> Self {
        Self::try_from(sequence).unwrap_or(Self::MAX)
    }
}

/// Makes what the cache keeps of a value.
#[derive(Clone, Copy)]
pub struct Keeper<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) spec: &'static Spec,
}

impl fmt::Debug for Keeper<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

/// What the cache keeps of a value, and for how long.
#[derive(Debug)]
pub struct ToKeep(pub(crate) Stored, pub(crate) Duration);

impl Keeper<'_> {
    /// What is kept of the value inside; `None` if it says that there is none, or is not to be stored.
    pub fn keep<S>(&self, shape: S, value: &S::Output, known: &Known) -> Option<ToKeep>
    where
        S: Shape,
        S::Value: CacheValue,
    {
        let value = shape.peek(value)?;
        let function = self.inner.functions.of(self.spec);
        let life = stale::life_of(self.spec, self.inner, shape, Some(value), Duration::ZERO);
        let (life, keep) = life?;
        let basis = known.basis(shape, Some(value), None);
        let stored = entries::write(shape, self.inner, function, Some(value), life, basis)?;
        Some(ToKeep(stored, keep))
    }
}

type Needs = fn(&Contexts) -> Option<&'static str>;
type One<A> = fn(Contexts, A, u64) -> Running;
type All<A> = fn(Contexts, Vec<Write<A>>) -> Running;
type ValueOf<A> = fn(&A, Keeper<'_>) -> Option<ToKeep>;

/// A writer: its description and its body, by its arguments' type.
pub struct Behind<A: 'static> {
    spec: &'static Spec,
    arguments: &'static [&'static str],
    needs: Needs,
    one: One<A>,
    all: Option<All<A>>,
    merge: Option<fn(&mut A, A)>,
    value: Option<ValueOf<A>>,
    fingerprint: OnceLock<u64>,
    /// Whether arguments were seen to survive the codec.
    verified: AtomicBool,
}

// No bounds: what is asked of the arguments is asked once, where their types stand.
impl<A> Behind<A> {
    /// `arguments` are the names of those that are logged; `needs` tells a context's type that is missing; `one` runs the body.
    #[must_use]
    pub const fn new(
        spec: &'static Spec,
        arguments: &'static [&'static str],
        needs: Needs,
        one: One<A>,
    ) -> Self {
        Self {
            spec,
            arguments,
            needs,
            one,
            all: None,
            merge: None,
            value: None,
            fingerprint: OnceLock::new(),
            verified: AtomicBool::new(false),
        }
    }

    /// Sets the form that takes a batch.
    #[must_use]
    pub const fn all(mut self, all: All<A>) -> Self {
        self.all = Some(all);
        self
    }

    /// Sets how two writes of a key become one.
    #[must_use]
    pub const fn merge(mut self, merge: fn(&mut A, A)) -> Self {
        self.merge = Some(merge);
        self
    }

    /// Sets what readers see of a pending write.
    #[must_use]
    pub const fn value(mut self, value: ValueOf<A>) -> Self {
        self.value = Some(value);
        self
    }
}

impl<A> fmt::Debug for Behind<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behind")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

/// Arguments without their type. Each is of the [`Writer`] that made it.
pub(crate) type Arguments = Box<dyn Any + Send + Sync>;

/// A writer without its types: what the worker knows of it.
pub trait Writer: fmt::Debug + Send + Sync {
    /// What its annotation says.
    fn spec(&self) -> &'static Spec;
    /// The type of a context that it needs and that is not there.
    fn missing(&self, contexts: &Contexts) -> Option<&'static str>;
    /// A number for the names and shapes of its arguments.
    fn fingerprint(&self) -> u64;
    /// Reads logged arguments; the error is a text for the dead letter.
    fn read(&self, payload: &Payload) -> Result<Arguments, String>;
    /// Writes arguments in the form that the log keeps.
    fn write(&self, keeper: Keeper<'_>, arguments: &Arguments) -> Result<Payload, Error>;
    /// Whether writes of one key add up, rather than the last one being all.
    fn merges(&self) -> bool;
    /// A copy of arguments.
    fn copy(&self, arguments: &Arguments) -> Arguments;
    /// Makes one write of two: the later goes into the earlier.
    fn fold(&self, earlier: &mut Arguments, later: Arguments);
    /// Whether it has a form that takes a batch.
    fn has_batch(&self) -> bool;
    /// Runs the body.
    fn run_one(&self, contexts: Contexts, arguments: &Arguments, sequence: u64) -> Running;
    /// Runs the form that takes a batch; the body, one after another, if there is none.
    fn run_all(&self, contexts: Contexts, writes: &[(&Arguments, u64)]) -> Running;
    /// Whether readers see its pending writes.
    fn has_value(&self) -> bool;
    /// What they see.
    fn kept(&self, arguments: &Arguments, keeper: Keeper<'_>) -> Option<ToKeep>;
}

impl<A: WriteArgument> Behind<A> {
    fn typed<'a>(&self, arguments: &'a Arguments) -> &'a A {
        match arguments.downcast_ref() {
            Some(arguments) => arguments,
            None => unreachable!("arguments are handed back to the writer that read them"),
        }
    }
}

impl<A: WriteArgument> Writer for Behind<A> {
    fn spec(&self) -> &'static Spec {
        self.spec
    }

    fn missing(&self, contexts: &Contexts) -> Option<&'static str> {
        (self.needs)(contexts)
    }

    fn fingerprint(&self) -> u64 {
        *self.fingerprint.get_or_init(|| {
            fingerprint::of_arguments::<A>(self.spec.schema_number(), self.arguments)
        })
    }

    fn read(&self, payload: &Payload) -> Result<Arguments, String> {
        let arguments = match payload {
            // Of a writer of this process, which may have a twin of its name and its arguments in another function.
            Payload::Typed(value) => value
                .downcast_ref::<Local<A>>()
                .filter(|local| local.writer == id_of(self))
                .map(|local| local.arguments.clone())
                .ok_or_else(|| record::OTHER_ARGUMENTS.to_owned())?,
            Payload::Encoded(bytes) => record::decode::<A>(bytes, self.fingerprint())?,
        };
        Ok(Box::new(arguments))
    }

    fn write(&self, keeper: Keeper<'_>, arguments: &Arguments) -> Result<Payload, Error> {
        let arguments = self.typed(arguments);
        if keeper.inner.guarded.backend().format() == Format::Typed {
            let local = Local {
                writer: id_of(self),
                arguments: arguments.clone(),
            };
            return Ok(Payload::Typed(Arc::new(local)));
        }
        let codec = self.spec.codec_kind().or(keeper.inner.settings.codec);
        let codec = codec.ok_or_else(record::no_codec)?;
        // Before the first write is acknowledged: what cannot be read back must not be.
        if !self.verified.load(Ordering::Relaxed) {
            codec::is_built(codec)?;
            roundtrip::check(codec, arguments)?;
            self.verified.store(true, Ordering::Relaxed);
        }
        let record = record::encode(arguments, self.fingerprint(), codec)?;
        Ok(Payload::Encoded(record))
    }

    fn merges(&self) -> bool {
        self.merge.is_some()
    }

    fn copy(&self, arguments: &Arguments) -> Arguments {
        Box::new(self.typed(arguments).clone())
    }

    fn fold(&self, earlier: &mut Arguments, later: Arguments) {
        let Some(merge) = self.merge else {
            *earlier = later;
            return;
        };
        if let (Some(earlier), Ok(later)) = (earlier.downcast_mut::<A>(), later.downcast::<A>()) {
            merge(earlier, *later);
        }
    }

    fn has_batch(&self) -> bool {
        self.all.is_some()
    }

    fn run_one(&self, contexts: Contexts, arguments: &Arguments, sequence: u64) -> Running {
        (self.one)(contexts, self.typed(arguments).clone(), sequence)
    }

    fn run_all(&self, contexts: Contexts, writes: &[(&Arguments, u64)]) -> Running {
        let writes = writes.iter().map(|(arguments, sequence)| Write {
            args: self.typed(arguments).clone(),
            sequence: *sequence,
        });
        match self.all {
            Some(all) => all(contexts, writes.collect()),
            None => {
                let one = self.one;
                let writes: Vec<_> = writes.collect();
                Box::pin(async move {
                    for Write { args, sequence } in writes {
                        one(contexts.clone(), args, sequence).await?;
                    }
                    Ok(())
                })
            }
        }
    }

    fn has_value(&self) -> bool {
        self.value.is_some()
    }

    fn kept(&self, arguments: &Arguments, keeper: Keeper<'_>) -> Option<ToKeep> {
        (self.value?)(self.typed(arguments), keeper)
    }
}

/// Arguments in a log of this process.
pub(crate) struct Local<A> {
    writer: usize,
    pub(crate) arguments: A,
}

/// Entered into the program's list of writers by the expansion of each.
#[derive(Debug)]
pub struct Registered(pub fn() -> &'static dyn Writer);

inventory::collect!(Registered);

/// All writers of the program.
pub(crate) fn all() -> impl Iterator<Item = &'static dyn Writer> {
    inventory::iter::<Registered>().map(|registered| (registered.0)())
}

/// Tells writers apart: each is a static of its own.
pub(crate) fn id_of(writer: &dyn Writer) -> usize {
    std::ptr::from_ref(writer).cast::<()>() as usize
}

pub(crate) fn is_same(one: &dyn Writer, other: &dyn Writer) -> bool {
    id_of(one) == id_of(other)
}

/// Runs what may run a user's code, such as a `Deserialize` or a `merge`: a panic in it is an error like any other.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panicked(&*panic))
}

/// What a panic says.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => format!("panicked: {text}"),
        None => "panicked".to_owned(),
    }
}

/// The path by which the log names a writer: it is the same in all processes, and stays when lines move.
pub(crate) fn path_of(spec: &Spec) -> String {
    format!("{}::{}", spec.module(), spec.name())
}
