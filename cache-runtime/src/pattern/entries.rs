//! Between a function's values and what the backend stores of them.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::{Format, Stored, Typed};
use crate::cache::Inner;
use crate::entry;
use crate::observe::{Count, FunctionState};
use crate::shape::Shape;

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

/// Reads what the backend gave. `None`, counted, if it is not a value of this type and schema.
#[inline]
pub(crate) fn read<S>(shape: S, function: &FunctionState, stored: Stored) -> Option<S::Value>
where
    S: Shape,
    S::Value: CacheValue,
{
    let found = match stored {
        Stored::Typed(typed) => shape.hand_out(typed.value),
        Stored::Encoded(bytes) => decode(function, &bytes),
    };
    if found.is_none() {
        function.counters.one(Count::Unreadable);
    }
    found
}

fn decode<V: CacheValue>(function: &FunctionState, bytes: &[u8]) -> Option<V> {
    match entry::decode::<V>(bytes, function.fingerprint::<V>()) {
        Ok(decoded) => Some(decoded.value),
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

/// Puts a value in the form that the backend keeps. `None`, counted and reported once, if the codec cannot write it.
pub(crate) fn write<S>(
    shape: S,
    inner: &Inner,
    function: &FunctionState,
    value: &S::Value,
    load_time: Duration,
    ttl: Duration,
) -> Option<Stored>
where
    S: Shape,
    S::Value: CacheValue,
{
    if inner.guarded.backend().format() == Format::Typed {
        return Some(Stored::Typed(Typed {
            value: shape.keep(value.clone()),
            load_time,
        }));
    }
    let stored = encode(inner, function, value, load_time, ttl);
    if stored.is_none() {
        function.counters.one(Count::Errors);
    }
    stored
}

fn encode<V: CacheValue>(
    inner: &Inner,
    function: &FunctionState,
    value: &V,
    load_time: Duration,
    ttl: Duration,
) -> Option<Stored> {
    let Some(codec) = function.codec(inner.settings.codec) else {
        tracing::error!(
            "no codec is built in: turn on one of the features `bincode`, `postcard`, `msgpack`, `json`"
        );
        return None;
    };
    if !function.round_trips(codec, value) {
        return None;
    }
    let meta = entry::Meta {
        fingerprint: function.fingerprint::<V>(),
        codec,
        load_time,
        ttl,
        soft: None,
    };
    match entry::encode(value, &meta) {
        Ok(bytes) => Some(Stored::Encoded(bytes)),
        Err(error) => {
            function.report_unstorable(&error);
            None
        }
    }
}
