//! How much the in-memory backend holds, and what an entry weighs.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use quick_cache::Weighter;

use super::{Memory, Name, Slot};
use crate::clock::Clock;
use crate::error::{ConfigError, Error};
use crate::key::Key;

type WeighFn = dyn Fn(&str, &(dyn Any + Send + Sync)) -> u64 + Send + Sync;

/// Sets the bounds and the clock of a [`Memory`] backend.
#[derive(Clone, Default)]
pub struct MemoryBuilder {
    bound: Bound,
    weigh: Option<Arc<WeighFn>>,
    clock: Clock,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    Entries(usize),
    Weight(u64),
}

impl Default for Bound {
    fn default() -> Self {
        Self::Entries(MemoryBuilder::DEFAULT_ENTRIES)
    }
}

impl MemoryBuilder {
    /// The bound where none is set: 100,000 entries.
    pub const DEFAULT_ENTRIES: usize = 100_000;

    /// A rough entry, for sizing the table of a cache that is bounded by weight.
    const TYPICAL_WEIGHT: u64 = 256;

    /// What an entry costs beyond its key and value: two table slots, counters, the deadline.
    const ENTRY_OVERHEAD: u64 = 96;

    /// Bounds the number of entries. Replaces a bound by weight.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.bound = Bound::Entries(entries);
        self
    }

    /// Bounds the sum of the entries' weights, in bytes unless a [`weigher`](Self::weigher) counts otherwise. Replaces a bound by count.
    ///
    /// Without a weigher an entry weighs its key, the size of its value's type and a constant overhead: what a value
    /// holds on the heap is not seen, so give a weigher where values hold strings or vectors of very different length.
    /// A value that weighs more than the whole bound is not kept (from 128 MiB on: more than its shard's part of it, which is at least 64 MiB), and none counts as more than 2^32 - 1.
    #[must_use]
    pub fn max_weight(mut self, weight: u64) -> Self {
        self.bound = Bound::Weight(weight);
        self
    }

    /// Weighs an entry by its key and value when it is stored. Only used with [`max_weight`](Self::max_weight).
    ///
    /// ```
    /// use cache_runtime::backend::Memory;
    ///
    /// let memory = Memory::builder()
    ///     .max_weight(64 << 20)
    ///     .weigher(|key, value| {
    ///         let page = value.downcast_ref::<String>().map_or(0, String::len);
    ///         (key.len() + page + 96) as u64
    ///     })
    ///     .build()?;
    /// # Ok::<(), cache_runtime::Error>(())
    /// ```
    #[must_use]
    pub fn weigher(
        mut self,
        weigh: impl Fn(&str, &(dyn Any + Send + Sync)) -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.weigh = Some(Arc::new(weigh));
        self
    }

    /// Sets the clock that TTLs and leases are judged by.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Makes the backend.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the bound is zero.
    pub fn build(self) -> Result<Memory, Error> {
        Ok(Memory::from_builder(self)?)
    }

    pub(super) fn into_parts(self) -> Result<(usize, u64, Weigher, Clock), ConfigError> {
        let (entries, capacity, weigher) = match self.bound {
            Bound::Entries(entries) => (entries, entries as u64, Weigher::Count),
            Bound::Weight(weight) => {
                let entries = (weight / Self::TYPICAL_WEIGHT).clamp(1, 1 << 20) as usize;
                (
                    entries,
                    weight,
                    self.weigh.map_or(Weigher::Shallow, Weigher::Custom),
                )
            }
        };
        if capacity == 0 {
            return Err(ConfigError::new(
                "bound of the in-memory backend",
                "is 0, so nothing could be kept: give at least 1",
            ));
        }
        Ok((entries, capacity, weigher, self.clock))
    }
}

impl fmt::Debug for MemoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBuilder")
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

/// How an entry's weight is found.
pub(super) enum Weigher {
    Count,
    Shallow,
    Custom(Arc<WeighFn>),
}

impl Weigher {
    pub(super) fn weigh(&self, key: &Key, value: &(dyn Any + Send + Sync)) -> u32 {
        let weight = match self {
            Self::Count => 1,
            Self::Shallow => {
                (key.as_bytes().len() + size_of_val(value)) as u64 + MemoryBuilder::ENTRY_OVERHEAD
            }
            Self::Custom(weigh) => weigh(key.as_str(), value),
        };
        // Weight 0 would mean "never evict": no entry may escape the bound.
        u32::try_from(weight.max(1)).unwrap_or(u32::MAX)
    }
}

/// Tells quick_cache the weight that was found when the entry was stored: it must not change.
#[derive(Clone)]
pub(super) struct SlotWeight;

impl Weighter<Name, Slot> for SlotWeight {
    fn weight(&self, _: &Name, slot: &Slot) -> u64 {
        slot.weight.into()
    }
}
