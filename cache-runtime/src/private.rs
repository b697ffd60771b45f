//! What generated code names, and nothing else does. No promise is made of it.

pub use crate::backend::Tags;
pub use crate::cache::Cache;
pub use crate::error::Error;
pub use crate::invalidation::{Keys, StrictError, refusal, write, write_strict};
pub use crate::key::{Key, KeyElements, KeyPart, KeyWriter};
pub use crate::pattern::background::{
    again, finish_in_background, finish_in_time, late, lend, own,
};
pub use crate::pattern::batch::{BatchKeys, BatchProbe, Fit, batch, element};
pub use crate::pattern::contexts::{Contexts, Shared, handed_in, missing};
pub use crate::pattern::entries::CacheValue;
pub use crate::pattern::known::Known;
pub use crate::pattern::read::{finish, read, read_tagged};
pub use crate::pattern::read_through::{
    Parse, ParsedOf, ReadThrough, Values, assert_parsed, finish_read_through, lacking, loader,
    loading,
};
pub use crate::pattern::write_behind::writer::{
    Behind, BodyError, FromSequence, Keeper, Ran, Registered, Running, ToKeep, Write,
    WriteArgument, outcome,
};
pub use crate::pattern::write_behind::{LogError, unlogged, write_behind};
pub use crate::pattern::write_through::{
    OfArgument, OfResult, RowVersion, write_through, write_through_strict, write_through_versioned,
};
pub use crate::pattern::writers::{
    Answered, CopyOf, Held, Log, LogOf, assert_answer, assert_logged, assert_storable, ran, running,
};
pub use crate::registry::{CachedFunction, InvalidatingFunction, RegisteredLoader};
pub use crate::shape::{IntoOutput, Kept, Probe, Shape, with_tags, with_ttl};
pub use crate::spec::{
    CodecKind, Consistency, Pattern, Queueing, Spec, Stampede, WhenFull, WriterSpec,
};
pub use inventory;

/// The traits through which [`Probe`] finds a return type's shape.
pub mod via {
    pub use crate::pattern::batch::{ViaFit as _, ViaForm as _};
    pub use crate::pattern::read_through::ViaParsed as _;
    pub use crate::pattern::writers::{ViaAnswer as _, ViaCopy as _, ViaHeld as _, ViaLog as _};
    pub use crate::shape::{ViaKept as _, ViaShape as _};
}

/// What the companion of a function forwards to.
pub mod companion {
    pub use crate::companion::{Invalidation, invalidate, invalidate_all, peek, put, refresh};
}

/// The other end of the `return` that gives a body its type.
pub fn never<R>() -> R {
    unreachable!("the edge exists for the type checker")
}

/// The cache named by `cache = …`.
pub fn given<C: AsRef<Cache> + ?Sized>(cache: &C) -> Option<Cache> {
    Some(cache.as_ref().clone())
}

/// No cache was named.
#[must_use]
pub const fn current() -> Option<Cache> {
    None
}

/// Says at the user's return type whether it can be cached.
pub fn assert_value<S: Shape>(_: &S)
where
    S::Value: CacheValue,
{
}

/// Says at `negative_ttl` whether the function can return `None`.
pub fn assert_optional<S: crate::shape::Optional>(_: &S) {}

/// Says at a batch loader's return type whether it holds a value for each element.
pub fn assert_collection<K, F>(_: &BatchKeys<K>, _: &F)
where
    F: crate::pattern::batch::Form,
    F::Collection: crate::pattern::batch::Collection<K>,
{
}

/// Says at a batch loader's return type that a list without an order needs a map for its values.
pub fn assert_keyed<F>(_: &F)
where
    F: crate::pattern::batch::Form,
    F::Collection: crate::pattern::batch::Keyed,
{
}

/// What the arguments contributed to a tag that also reads the result.
#[must_use]
pub fn part(parts: &[Key], number: usize) -> &str {
    parts.get(number).map_or("", Key::as_str)
}
