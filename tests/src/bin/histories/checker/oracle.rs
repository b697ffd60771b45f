//! What the checker says of a row, against a search.

use fastrand::Rng;

use super::row::Row;
use super::tally::Tally;
use crate::clock::Moment;
use crate::keys::{Mode, RowId};
use crate::words::{Commit, How, Read, Return};

/// An operation on one row, with the places of its beginning and its end among those of all.
#[derive(Debug, Clone, Copy)]
struct Operation {
    is_write: bool,
    version: u64,
    began: u64,
    ended: u64,
}

const fn write(version: u64, began: u64, ended: u64) -> Operation {
    Operation {
        is_write: true,
        version,
        began,
        ended,
    }
}

const fn read(version: u64, began: u64, ended: u64) -> Operation {
    Operation {
        is_write: false,
        ..write(version, began, ended)
    }
}

/// Tries every order that does not put an operation before one which had ended when it began (Wing, Gong, "Testing and verifying concurrent objects", 1993).
fn has_an_order(left: &[Operation], version: u64) -> bool {
    let Some(first_end) = left.iter().map(|operation| operation.ended).min() else {
        return true;
    };
    (0..left.len()).any(|at| {
        let next = left[at];
        let becomes = if next.is_write { version + 1 } else { version };
        let mut rest = left.to_vec();
        rest.swap_remove(at);
        next.began <= first_end && next.version == becomes && has_an_order(&rest, becomes)
    })
}

/// Whether the checker has nothing to say against it.
fn is_accepted(mode: Mode, operations: &[Operation]) -> bool {
    let id = RowId::all_of(mode, 0).next().expect("there are rows");
    let (mut row, mut tally) = (Row::new(id), Tally::default());
    let mut in_order = operations.to_vec();
    in_order.sort_by_key(|operation| operation.ended);
    let mut accepted = true;
    for (session, operation) in (0..).zip(in_order) {
        let (began, ended) = (Moment(operation.began), Moment(operation.ended));
        let version = operation.version;
        let found = if operation.is_write {
            let commit = Commit {
                row: id,
                session,
                began,
                at: ended,
                version,
                how: How::Invalidates,
            };
            let found = row.commit(0, commit);
            let write = Return {
                row: id,
                version,
                since: began,
                ended,
                kept: false,
            };
            row.returned(0, write);
            found
        } else {
            let read = Read {
                row: id,
                session,
                began,
                ended,
                version,
                asked: began,
                loaded: ended,
                loader: 0,
                written: false,
                away: false,
            };
            row.read(0, read, &mut tally)
        };
        accepted &= found.is_none();
    }
    accepted && row.unwritten().is_empty()
}

#[test]
fn good_and_bad_histories_are_told_apart() {
    let both = [Mode::Fenced, Mode::Strict];
    for (modes, operations, is_good) in [
        (&both[..], &[write(1, 1, 2), read(1, 3, 4)][..], true),
        // Beside the write either will do, in any order that does not go back.
        (
            &both,
            &[write(1, 1, 8), read(0, 2, 3), read(1, 4, 5), read(1, 6, 7)],
            true,
        ),
        // After a write has returned what was before it is gone.
        (&both, &[write(1, 1, 2), read(0, 3, 4)], false),
        (
            &both,
            &[write(1, 1, 2), write(2, 3, 4), read(1, 5, 6)],
            false,
        ),
        // What is read was not written yet, or never.
        (&both, &[read(1, 1, 2), write(1, 3, 4)], false),
        (&both, &[write(1, 1, 2), read(7, 3, 4)], false),
        // Back again, beside the write: that nobody but `strict` excludes.
        (
            &both[..1],
            &[write(1, 1, 8), read(1, 2, 3), read(0, 4, 5)],
            true,
        ),
        (
            &both[1..],
            &[write(1, 1, 8), read(1, 2, 3), read(0, 4, 5)],
            false,
        ),
    ] {
        for &mode in modes {
            assert_eq!(
                is_accepted(mode, operations),
                is_good,
                "{mode:?}: {operations:?}"
            );
        }
    }
}

#[test]
fn a_history_is_accepted_if_and_only_if_there_is_an_order() {
    let mut random = Rng::with_seed(7);
    let mut found = [0_u32; 2];
    for _ in 0..30_000 {
        let (writes, reads) = (random.u64(1..4), random.usize(1..5));
        let mut places: Vec<u64> = (0..2 * (writes + reads as u64)).collect();
        random.shuffle(&mut places);
        let mut interval = || {
            let (one, other) = (places.pop().expect("enough"), places.pop().expect("enough"));
            (one.min(other), one.max(other))
        };
        let mut operations = Vec::new();
        for version in 1..=writes {
            let (began, ended) = interval();
            operations.push(write(version, began, ended));
        }
        for _ in 0..reads {
            let (began, ended) = interval();
            operations.push(read(random.u64(..=writes), began, ended));
        }
        // Versions are given by the database, so writes are never the wrong way round.
        let in_order = |one: &Operation, other: &Operation| {
            one.ended < other.began && one.version > other.version
        };
        let writes_of = || operations.iter().filter(|operation| operation.is_write);
        if writes_of().any(|one| writes_of().any(|other| in_order(one, other))) {
            continue;
        }
        let is_linearizable = has_an_order(&operations, 0);
        found[usize::from(is_linearizable)] += 1;
        assert_eq!(
            is_accepted(Mode::Strict, &operations),
            is_linearizable,
            "{operations:?}"
        );
    }
    assert!(found[0] > 1000 && found[1] > 1000, "{found:?}");
}
