//! Between a function's values and what the backend stores of them.

use std::sync::Arc;

use once_cell::sync::Lazy;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::{Basis, Encoded, Format, Life, MAX_TAGS, SharedValue, Stored, Typed};
use crate::cache::Inner;
use crate::entry;
use crate::observe::{Count, FunctionState};
use crate::shape::Shape;
use crate::stampede::flight::{Landing, Standing};

/// A type whose values can be cached, in memory and remotely.
///
/// It is implemented for every type that is `Clone`, `Serialize`, `DeserializeOwned`, `Send`, `Sync` and `'static`; there is nothing to implement
/// by hand. A large value is cheaper to hand out as `Arc<T>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    label = "not `Clone + Serialize + DeserializeOwned + Send + Sync + 'static`",
    note = "derive `Clone`, `serde::Serialize` and `serde::Deserialize` for it; a result that borrows must be returned owned"
)]
pub trait CacheValue: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> CacheValue for T {}

/// Stands in memory for "there is no value".
#[derive(Debug)]
pub(crate) struct NoValue;

/// The one that all such entries share.
pub(crate) fn no_value() -> SharedValue {
    static NO_VALUE: Lazy<SharedValue> = Lazy::new(|| Arc::new(NoValue));
    Arc::clone(&NO_VALUE)
}

/// What an entry says, with its times.
#[derive(Debug, Clone)]
pub(crate) struct Found<V> {
    /// `None`: it says that there is no value, to a function that can say so too.
    pub(crate) value: Option<V>,
    pub(crate) life: Life,
}

impl<V> Found<V> {
    /// The call's result.
    pub(crate) fn output<S: Shape<Value = V>>(self, shape: S) -> S::Output {
        match self
            .value
            .map_or_else(|| shape.absent(), |value| Some(shape.value(value)))
        {
            Some(output) => output,
            None => {
                unreachable!("what says that there is none was read for a function that can say so")
            }
        }
    }

    /// How it is handed to those who wait for it.
    pub(crate) fn landing<S: Shape<Value = V>>(&self, shape: S) -> Landing
    where
        V: CacheValue,
    {
        match &self.value {
            Some(value) => Landing::Value(shape.keep(value.clone()), Standing::Stored),
            None => Landing::Absent(Standing::Stored),
        }
    }
}

/// Reads what the backend gave. `None`, counted, if it is not a value of this type and schema.
#[inline]
pub(crate) fn read<S>(shape: S, function: &FunctionState, stored: Stored) -> Option<Found<S::Value>>
where
    S: Shape,
    S::Value: CacheValue,
{
    let found = match stored {
        Stored::Typed(Typed { value, life, .. }) if value.is::<NoValue>() => {
            Some(Found { value: None, life })
        }
        Stored::Typed(Typed { value, life, .. }) => shape.hand_out(value).map(|value| Found {
            value: Some(value),
            life,
        }),
        Stored::Encoded(entry) => decode(function, &entry),
    };
    let found = found.filter(|found| found.value.is_some() || shape.absent().is_some());
    if found.is_none() {
        function.counters.one(Count::Unreadable);
    }
    found
}

fn decode<V: CacheValue>(function: &FunctionState, stored: &Encoded) -> Option<Found<V>> {
    match entry::decode::<V>(&stored.bytes, function.fingerprint::<V>()) {
        Ok(decoded) => Some(Found {
            value: decoded.value,
            life: decoded.life.aged(stored.age),
        }),
        Err(mismatch) => {
            tracing::debug!(
                function = function.spec.name(),
                reason = mismatch.label(),
                "entry not usable, taken for a miss"
            );
            None
        }
    }
}

/// Puts a value, or that there is none, in the form that the backend keeps. `None`, counted and reported once, if the codec
/// cannot write it.
pub(crate) fn write<S>(
    shape: S,
    inner: &Inner,
    function: &FunctionState,
    value: Option<&S::Value>,
    life: Life,
    basis: Option<Arc<Basis>>,
) -> Option<Stored>
where
    S: Shape,
    S::Value: CacheValue,
{
    if basis
        .as_ref()
        .is_some_and(|basis| basis.tags.are_too_many())
    {
        function.report_unstorable(&format!("it has more than {MAX_TAGS} tags"));
        function.counters.one(Count::Errors);
        return None;
    }
    if inner.guarded.backend().format() == Format::Typed {
        let value = value.map_or_else(no_value, |value| shape.keep(value.clone()));
        return Some(Stored::Typed(Typed { value, life, basis }));
    }
    let stored = encode(inner, function, value, life, basis);
    if stored.is_none() {
        function.counters.one(Count::Errors);
    }
    stored
}

fn encode<V: CacheValue>(
    inner: &Inner,
    function: &FunctionState,
    value: Option<&V>,
    life: Life,
    basis: Option<Arc<Basis>>,
) -> Option<Stored> {
    let Some(codec) = function.codec(inner.settings.codec) else {
        tracing::error!(
            "no codec is built in: turn on one of the features `bincode`, `postcard`, `msgpack`, `json`"
        );
        return None;
    };
    if value.is_some_and(|value| !function.round_trips(codec, value)) {
        return None;
    }
    let meta = entry::Meta {
        fingerprint: function.fingerprint::<V>(),
        codec,
        life,
        basis: basis.map_or_else(Basis::default, Arc::unwrap_or_clone),
    };
    match entry::encode(value, &meta) {
        Ok(bytes) => Some(Stored::Encoded(Encoded::new(bytes))),
        Err(error) => {
            function.report_unstorable(&error);
            None
        }
    }
}
