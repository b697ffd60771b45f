//! What the run came to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::member::task_of;

/// The figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) kills: u32,
    /// Writes that returned `Ok`.
    pub(crate) acknowledged: u64,
    /// Those of them that were not applied to their page.
    pub(crate) lost: u64,
    /// Writes that were applied more than once.
    pub(crate) doubled: u64,
    /// Acknowledged writes that were first applied to their page after a later one of their task.
    pub(crate) out_of_order: u64,
    pub(crate) seed: u64,
}

impl Figures {
    /// Compares what was acknowledged, number and page, with what was applied, page and number in order.
    pub(super) fn of(
        kills: u32,
        seed: u64,
        acknowledged: &BTreeMap<u64, u64>,
        applied: &[(u64, u64)],
    ) -> Self {
        let mut seen = BTreeSet::new();
        let mut doubled = BTreeSet::new();
        let mut latest: HashMap<(u64, u64), u64> = HashMap::new();
        let mut out_of_order = 0;
        for &(page, number) in applied {
            if !seen.insert((number, page)) {
                doubled.insert((number, page));
                continue;
            }
            let latest = latest.entry((page, task_of(number))).or_default();
            // One that ended with an error may have been on its way to a server that stalled, while a later one went by another connection.
            let is_late = number < *latest && acknowledged.contains_key(&number);
            out_of_order += u64::from(is_late);
            *latest = number.max(*latest);
        }
        let is_lost = |&(&number, &page): &(&u64, &u64)| !seen.contains(&(number, page));
        Self {
            kills,
            acknowledged: acknowledged.len() as u64,
            lost: acknowledged.iter().filter(is_lost).count() as u64,
            doubled: doubled.len() as u64,
            out_of_order,
            seed,
        }
    }

    pub(crate) fn are_good(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.out_of_order == 0
    }

    /// A line for each, or one object.
    pub(crate) fn text(&self, as_json: bool) -> String {
        let Self {
            kills,
            acknowledged,
            lost,
            doubled,
            out_of_order,
            seed,
        } = self;
        if as_json {
            return serde_json::to_string(self).expect("numbers can be written");
        }
        format!(
            "kills         {kills}\nacknowledged  {acknowledged}\nlost          {lost}\ndoubled       {doubled}\n\
             out of order  {out_of_order}\nseed          {seed}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: u64 = 1 << 32;

    fn figures(acknowledged: &[(u64, u64)], applied: &[(u64, u64)]) -> [u64; 3] {
        let acknowledged = acknowledged.iter().copied().collect();
        let figures = Figures::of(1, 1, &acknowledged, applied);
        [figures.lost, figures.doubled, figures.out_of_order]
    }

    #[test]
    fn each_failure_is_counted_once() {
        let (one, two, other) = (TASK + 1, TASK + 2, 2 * TASK);
        let acknowledged = [(one, 7), (two, 7)];
        assert_eq!(figures(&acknowledged, &[(7, one), (7, two)]), [0, 0, 0]);
        assert_eq!(figures(&acknowledged, &[(7, one)]), [1, 0, 0]);
        assert_eq!(figures(&acknowledged, &[(7, one), (8, two)]), [1, 0, 0]);
        assert_eq!(figures(&acknowledged, &[(7, two), (7, one)]), [0, 0, 1]);
        let ended_with_an_error = [(two, 7)].into_iter().collect();
        let late = Figures::of(1, 1, &ended_with_an_error, &[(7, two), (7, one)]);
        assert!(late.are_good());
        let again = [(7, one), (7, two), (7, one), (7, two), (7, two)];
        assert_eq!(figures(&acknowledged, &again), [0, 2, 0]);
        // Other tasks and writes that were not acknowledged say nothing.
        let others = [(7, other), (7, one), (9, one + 7), (7, two)];
        assert_eq!(figures(&acknowledged, &others), [0, 0, 0]);
    }
}
