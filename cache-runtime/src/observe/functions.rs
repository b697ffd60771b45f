//! What one cache knows of each annotated function, found by the function's number.

use std::any::TypeId;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;

use super::Counters;
use crate::codec;
use crate::entry::{fingerprint, roundtrip};
use crate::mutants::{self, Mutant};
use crate::spec::{CodecKind, Spec};

/// The first segment's length; each further one is twice as long.
const FIRST: usize = 64;
/// Enough for four billion functions.
const SEGMENTS: usize = 26;

/// A table that only grows: an element found once stays where it is, so a lookup takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    segments: [OnceLock<Box<[OnceLock<FunctionState>]>>; SEGMENTS],
}

impl Functions {
    #[inline]
    pub(crate) fn of(&self, spec: &'static Spec) -> &FunctionState {
        let (segment, offset) = place(spec.id());
        let segment = self.segments[segment]
            .get_or_init(|| (0..FIRST << segment).map(|_| OnceLock::new()).collect());
        segment[offset].get_or_init(|| FunctionState::new(spec))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &FunctionState> {
        self.segments
            .iter()
            .filter_map(OnceLock::get)
            .flatten()
            .filter_map(OnceLock::get)
    }
}

/// Segment `s` holds the numbers from `FIRST * (2^s - 1)`.
#[inline]
fn place(id: usize) -> (usize, usize) {
    let segment = ((id / FIRST) + 1).ilog2() as usize;
    (segment, id - FIRST * ((1 << segment) - 1))
}

/// One function's counters, and what is known of its entries' bytes.
#[derive(Debug)]
pub(crate) struct FunctionState {
    pub(crate) spec: &'static Spec,
    pub(crate) counters: Counters,
    fingerprint: OnceLock<(TypeId, u64)>,
    /// The type of which a value was seen to survive its codec.
    verified: OnceLock<TypeId>,
    reported: AtomicBool,
}

impl FunctionState {
    fn new(spec: &'static Spec) -> Self {
        Self {
            spec,
            counters: Counters::default(),
            fingerprint: OnceLock::new(),
            verified: OnceLock::new(),
            reported: AtomicBool::new(false),
        }
    }

    /// The codec of this function's entries.
    pub(crate) fn codec(&self, default: Option<CodecKind>) -> Option<CodecKind> {
        self.spec.codec_kind().or(default)
    }

    /// The fingerprint of the entries of type `T`. A generic function has several types and one place to remember the first.
    pub(crate) fn fingerprint<T: DeserializeOwned + 'static>(&self) -> u64 {
        let compute = || fingerprint::of::<T>(self.spec.schema_number());
        let (first, print) = *self
            .fingerprint
            .get_or_init(|| (TypeId::of::<T>(), compute()));
        if first == TypeId::of::<T>() {
            print
        } else {
            compute()
        }
    }

    /// Whether entries of this function can be read back, by a round trip of the first value that it stores. A value that fails is
    /// reported, once, and the next one is tried again: it may have failed for what that value held.
    pub(crate) fn round_trips<T>(&self, kind: CodecKind, value: &T) -> bool
    where
        T: serde::Serialize + DeserializeOwned + 'static,
    {
        if self.verified.get() == Some(&TypeId::of::<T>())
            || mutants::on(Mutant::RoundTripNotChecked)
        {
            return true;
        }
        let checked = codec::is_built(kind)
            .map_err(|error| error.to_string())
            .and_then(|()| roundtrip::check(kind, value).map_err(|error| error.to_string()));
        match checked {
            Ok(()) => {
                self.verified.get_or_init(TypeId::of::<T>);
                true
            }
            Err(error) => {
                self.report_unstorable(&error);
                false
            }
        }
    }

    /// Says once that results of the function are not stored.
    pub(crate) fn report_unstorable(&self, error: &dyn std::fmt::Display) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            tracing::error!(
                function = self.spec.name(),
                file = self.spec.file(),
                line = self.spec.line(),
                %error,
                "results of this function are not stored"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        let places: Vec<_> = (0..1000).map(place).collect();
        assert_eq!(places[0], (0, 0));
        assert_eq!(places[63], (0, 63));
        assert_eq!(places[64], (1, 0));
        assert_eq!(places[191], (1, 127));
        assert_eq!(places[192], (2, 0));
        let mut unique = places.clone();
        unique.dedup();
        assert_eq!(unique.len(), places.len());
    }
}
