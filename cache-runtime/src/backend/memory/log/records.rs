//! The writes that are pending.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;

use crate::backend::log::{Begun, LoggedWrite, PARTITIONS, Payload, partition_of};
use crate::clock::Moment;
use crate::key::Key;

/// Pending writes by partition, and how many each function has.
#[derive(Default)]
pub(super) struct Records {
    partitions: [Partition; PARTITIONS as usize],
    counts: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Partition {
    records: BTreeMap<u64, Record>,
    by_key: HashMap<Key, BTreeSet<u64>>,
    begun: HashMap<Key, Begun>,
}

/// A pending write.
pub(super) struct Record {
    pub(super) key: Key,
    pub(super) function: String,
    pub(super) payload: Payload,
    pub(super) appended: Moment,
}

impl Records {
    pub(super) fn push(&mut self, sequence: u64, record: Record) {
        match self.counts.get_mut(&record.function) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(record.function.clone(), 1);
            }
        }
        let partition = self.of_mut(&record.key);
        let key = record.key.clone();
        partition.by_key.entry(key).or_default().insert(sequence);
        partition.records.insert(sequence, record);
    }

    /// Removes a write, if it is pending; its payload is the caller's to drop.
    pub(super) fn remove(&mut self, key: &Key, sequence: u64) -> Option<Payload> {
        let partition = self.of_mut(key);
        let sequences = partition.by_key.get_mut(key)?;
        if !sequences.remove(&sequence) {
            return None;
        }
        if sequences.is_empty() {
            partition.by_key.remove(key);
        }
        let record = partition.records.remove(&sequence)?;
        if let Some(count) = self.counts.get_mut(&record.function) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&record.function);
            }
        }
        Some(record.payload)
    }

    /// The last pending write of a key.
    pub(super) fn newest(&self, key: &Key) -> Option<u64> {
        let partition = self.partitions.get(usize::from(partition_of(key)))?;
        partition.by_key.get(key)?.last().copied()
    }

    /// Whether a write of the function and the key is pending that is later than this one.
    pub(super) fn is_later_pending(&self, function: &str, key: &Key, after: u64) -> bool {
        let partition = self.partitions.get(usize::from(partition_of(key)));
        partition.is_some_and(|partition| {
            let sequences = partition.by_key.get(key).into_iter().flatten();
            let later = sequences.rev().take_while(|&&sequence| sequence > after);
            later
                .filter_map(|sequence| partition.records.get(sequence))
                .any(|record| record.function == function)
        })
    }

    pub(super) fn count(&self, function: &str) -> u64 {
        self.counts.get(function).copied().unwrap_or(0)
    }

    pub(super) fn counts(&self) -> Vec<(String, u64)> {
        let counts = self.counts.iter();
        counts.map(|(name, &count)| (name.clone(), count)).collect()
    }

    pub(super) fn lag(&self, now: Moment) -> Option<Duration> {
        let oldest = self.partitions.iter().filter_map(|partition| {
            let (_, record) = partition.records.first_key_value()?;
            Some(record.appended)
        });
        oldest.min().map(|appended| now.since(appended))
    }

    pub(super) fn read(
        &self,
        partition: u8,
        after: u64,
        most: usize,
        now: Moment,
    ) -> Vec<LoggedWrite> {
        let Some(partition) = self.partitions.get(usize::from(partition)) else {
            return Vec::new();
        };
        partition
            .records
            .range((Bound::Excluded(after), Bound::Unbounded))
            .take(most)
            .map(|(&sequence, record)| LoggedWrite {
                sequence,
                key: record.key.clone(),
                function: record.function.clone(),
                payload: record.payload.clone(),
                age: now.since(record.appended),
            })
            .collect()
    }

    /// Notes writes of which the last is still pending, and says whether it is.
    pub(super) fn begin(&mut self, group: &Begun) -> bool {
        let partition = self.of_mut(&group.key);
        let sequences = partition.by_key.get(&group.key);
        let is_pending = sequences.is_some_and(|sequences| sequences.contains(&group.through));
        if is_pending {
            partition.begun.insert(group.key.clone(), group.clone());
        }
        is_pending
    }

    pub(super) fn begun(&self, partition: u8) -> Vec<Begun> {
        let partition = self.partitions.get(usize::from(partition));
        let begun = partition.map(|partition| partition.begun.values());
        begun.into_iter().flatten().cloned().collect()
    }

    pub(super) fn forget_begun(&mut self, key: &Key) {
        self.of_mut(key).begun.remove(key);
    }

    fn of_mut(&mut self, key: &Key) -> &mut Partition {
        &mut self.partitions[usize::from(partition_of(key))]
    }
}
