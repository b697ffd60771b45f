//! Reads that are below their floor by what the documentation says can be stale.

use std::time::Duration;

use super::faults::{Effect, Window, Windows};
use super::floor::{Raise, Source};
use super::row::{Candidate, Row, Write, Wrong};
use crate::clock::Moment;
use crate::keys::{Level, Mode};
use crate::member::{INTENT, LEASE, TTL};
use crate::words::Read;

/// How long a step of the cache may take on a busy machine beyond its own times.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// How long after a load has its value those who wait for it may still be given it.
const LANDING: Duration = Duration::from_secs(1);

/// The row of the documentation's table by which a read may be stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excuse {
    /// The writer's process was killed between its commit and its invalidation.
    Killed,
    /// The caller joined a load of its own process, which could not reach the backend.
    Joined,
    /// The server lost the intent of a write that was under way, or it expired because nobody could renew it.
    IntentLost,
    /// The server lost the fence, or a newer version could not be stored, while an older one was on its way.
    FenceLost,
    /// A copy that was behind took over.
    Failover,
    /// A process or server was stopped while it had a value to store.
    StoredLate,
}

impl Excuse {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed => "writer_killed",
            Self::Joined => "joined_while_away",
            Self::IntentLost => "intent_lost",
            Self::FenceLost => "fence_lost",
            Self::Failover => "failover",
            Self::StoredLate => "stored_late",
        }
    }
}

/// Why the read may be what it is, if it may.
pub(super) fn of(candidate: &Candidate, row: &Row, windows: &Windows) -> Option<Excuse> {
    match candidate.wrong {
        Wrong::FromTheFuture | Wrong::Unwritten => None,
        Wrong::Expired => was_stored_late(&candidate.read, windows).then_some(Excuse::StoredLate),
        Wrong::AfterInvalidation | Wrong::NotLinearizable => {
            if has_joined(candidate, row) {
                return Some(Excuse::Joined);
            }
            if is_behind_its_fence(candidate, row, windows) {
                return Some(Excuse::FenceLost);
            }
            let of_raise = |raise| of_raise(raise, &candidate.read, row, windows);
            // Each of them has to be explained; which of the reasons is named does not matter.
            let excuses: Option<Vec<_>> = candidate.raises.iter().map(of_raise).collect();
            excuses?.pop()
        }
    }
}

fn of_raise(raise: &Raise, read: &Read, row: &Row, windows: &Windows) -> Option<Excuse> {
    let level = read.row.mode().level();
    if raise.source == Source::Killed
        && level == Level::Fenced
        && read.began <= raise.at.after(TTL).after(GRACE)
    {
        return Some(Excuse::Killed);
    }
    let write = row.write(raise.version);
    let mut on_redis = windows.iter().filter(|_| !read.row.mode().is_in_memory());
    if on_redis.any(|window| is_lost_by_failover(raise, write, read, window)) {
        return Some(Excuse::Failover);
    }
    let is_unprotected = level == Level::Strict
        && matches!(
            raise.source,
            Source::Read { .. } | Source::Commit | Source::Killed
        )
        && windows
            .iter()
            .any(|window| is_unprotected(write, read, window));
    is_unprotected.then_some(Excuse::IntentLost)
}

/// Whether what raised the floor was told only to the server that is gone.
fn is_lost_by_failover(raise: &Raise, write: Option<&Write>, read: &Read, window: &Window) -> bool {
    let Effect::Failover { killed } = window.effect else {
        return false;
    };
    let was_told_before_its_end = match raise.source {
        Source::Return { since } => since <= killed,
        Source::Read { .. } | Source::Commit | Source::Killed => raise.at <= window.to,
        Source::Row => false,
    };
    let ended = write.and_then(|write| write.settled);
    let copy_knows = raise.at < window.from && ended.is_some_and(|ended| ended < window.from);
    was_told_before_its_end
        && !copy_knows
        && read.ended >= window.from
        // A lease that only the copy still knows of lets in a load from before.
        && read.began <= window.to.after(LEASE).after(TTL).after(GRACE)
}

/// Whether nobody was kept from storing the old value while this write was under way.
fn is_unprotected(write: Option<&Write>, read: &Read, window: &Window) -> bool {
    let in_memory = read.row.mode().is_in_memory();
    let is_meant = match window.effect {
        Effect::Nothing => false,
        Effect::Lost | Effect::Silent | Effect::Failover { .. } => !in_memory,
        Effect::Stopped(birth) => write.is_some_and(|write| write.birth == birth),
    };
    let last = window.to.after(INTENT).after(TTL).after(GRACE);
    if !is_meant {
        return false;
    }
    let Some(write) = write else {
        // Its process was killed before it could say so.
        return window.overlaps(read.began.before(last.since(window.to)), read.ended);
    };
    let settled = write.settled.unwrap_or(last);
    window.overlaps(write.commit.began, settled) && read.began <= settled
}

/// Whether it is of a load of its own process from before the writes that it does not know of, and the process had nobody to ask.
fn has_joined(candidate: &Candidate, row: &Row) -> bool {
    let Candidate {
        birth,
        read,
        raises,
        is_own,
        ..
    } = candidate;
    let by_others = |raise: &Raise| {
        let write = row.write(raise.version);
        raise.at >= read.asked && write.is_none_or(|write| write.birth != *birth)
    };
    read.row.mode().level() == Level::Fenced
        && read.away
        && !read.written
        && read.loader == *birth
        && read.loaded.after(LANDING) >= read.began
        && !is_own
        && raises.iter().all(by_others)
}

/// Whether it is of a write by version that was stored after a newer one: nothing kept it out.
fn is_behind_its_fence(candidate: &Candidate, row: &Row, windows: &Windows) -> bool {
    let (read, raises) = (&candidate.read, &candidate.raises);
    if read.row.mode() != Mode::Versions || !read.written {
        return false;
    }
    let lost = |window: &&Window| matches!(window.effect, Effect::Lost | Effect::Failover { .. });
    let within = |end: Moment| read.began <= end.after(TTL).after(GRACE);
    let Some(older) = row.write(read.version) else {
        return windows
            .iter()
            .filter(lost)
            .any(|window| read.began >= window.from && within(window.to));
    };
    let ended = older.settled.unwrap_or(Moment::NEVER);
    let forgotten = windows
        .iter()
        .filter(lost)
        .any(|window| window.overlaps(older.commit.began, ended.after(GRACE)) && within(window.to));
    let was_kept = |write: &Write| write.returned.is_none_or(|returned| returned.kept);
    let unknown = raises
        .iter()
        .filter_map(|raise| row.write(raise.version))
        .any(|newer| {
            let both = newer
                .settled
                .unwrap_or(newer.commit.at)
                .max(older.settled.unwrap_or(older.commit.at));
            (was_kept(newer) || was_kept(older)) && ended >= newer.commit.at && within(both)
        });
    forgotten || unknown
}

/// Whether a value may be older than its TTL by what kept it from being stored.
fn was_stored_late(read: &Read, windows: &Windows) -> bool {
    let mut age = read.began.since(read.loaded);
    for window in windows.iter() {
        let (from, to) = (window.from.max(read.loaded), window.to.min(read.began));
        age = age.saturating_sub(to.since(from));
    }
    age <= TTL + GRACE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::tally::Tally;
    use crate::keys::RowId;
    use crate::words::{Commit, How, Return};

    fn second(number: u64) -> Moment {
        Moment(number * 1_000_000_000)
    }

    /// A row with one write, of version 1, that took from second 100 to 110 and committed in second 105.
    fn row(mode: Mode, kept: bool) -> Row {
        let id = RowId::all_of(mode, 0).next().expect("there are rows");
        let mut row = Row::new(id);
        let how = if mode == Mode::Versions {
            How::ByVersion
        } else {
            How::Invalidates
        };
        let commit = Commit {
            row: id,
            session: 1,
            began: second(100),
            at: second(105),
            version: 1,
            how,
        };
        assert!(row.commit(1, commit).is_none());
        row.returned(
            1,
            Return {
                row: id,
                version: 1,
                since: second(106),
                ended: second(110),
                kept,
            },
        );
        row
    }

    /// Why a read of version 0 that began then may be; `Err` if it needs no reason.
    fn of_read(row: &mut Row, began: u64, windows: &[Window]) -> Result<Option<Excuse>, ()> {
        let read = Read {
            row: row.id(),
            session: 2,
            began: second(began),
            ended: second(began).after(Duration::from_millis(1)),
            version: 0,
            asked: second(began),
            loaded: second(began),
            loader: 2,
            written: false,
            away: false,
        };
        let mut all = Windows::default();
        for &window in windows {
            all.begin(window);
            all.end(window.effect, window.to);
        }
        let candidate = row.read(2, read, &mut Tally::default()).ok_or(())?;
        Ok(of(&candidate, row, &all))
    }

    fn window(effect: Effect, from: u64, to: u64) -> Window {
        Window {
            effect,
            from: second(from),
            to: second(to),
        }
    }

    #[test]
    fn without_faults_nothing_is_excused() {
        for mode in [
            Mode::Fenced,
            Mode::Versions,
            Mode::Strict,
            Mode::MemoryStrict,
        ] {
            assert_eq!(
                of_read(&mut row(mode, false), 111, &[]),
                Ok(None),
                "{mode:?}"
            );
        }
        assert_eq!(of_read(&mut row(Mode::Fenced, false), 109, &[]), Err(()));
        assert_eq!(of_read(&mut row(Mode::Strict, false), 109, &[]), Ok(None));
        assert_eq!(of_read(&mut row(Mode::Eventual, false), 111, &[]), Err(()));
    }

    #[test]
    fn faults_from_which_nothing_is_lost_excuse_nothing() {
        let windows = [window(Effect::Nothing, 101, 120)];
        for mode in [Mode::Fenced, Mode::Versions, Mode::Strict] {
            assert_eq!(
                of_read(&mut row(mode, false), 111, &windows),
                Ok(None),
                "{mode:?}"
            );
        }
        // Nor does the loss of all values, once the writer has returned.
        let windows = [window(Effect::Lost, 101, 104)];
        for mode in [Mode::Fenced, Mode::Strict] {
            assert_eq!(
                of_read(&mut row(mode, false), 111, &windows),
                Ok(None),
                "{mode:?}"
            );
        }
    }

    #[test]
    fn a_lost_intent_excuses_until_its_writer_returns() {
        let lost = [window(Effect::Lost, 101, 104)];
        let before = [window(Effect::Lost, 90, 99)];
        let excuse =
            |began, windows: &[Window]| of_read(&mut row(Mode::Strict, false), began, windows);
        assert_eq!(excuse(108, &lost), Ok(Some(Excuse::IntentLost)));
        assert_eq!(excuse(108, &before), Ok(None), "the write began later");
        assert_eq!(excuse(111, &lost), Ok(None), "the writer has returned");
        let others = [window(Effect::Stopped(9), 101, 104)];
        assert_eq!(
            excuse(108, &others),
            Ok(None),
            "another process was stopped"
        );
        let in_memory = of_read(&mut row(Mode::MemoryStrict, false), 108, &lost);
        assert_eq!(in_memory, Ok(None), "it is not on Redis");
    }

    #[test]
    fn a_failover_excuses_until_the_ttl_what_only_the_lost_server_knew() {
        let killed = second(115);
        let behind = [window(Effect::Failover { killed }, 108, 116)];
        let excuse =
            |began, windows: &[Window]| of_read(&mut row(Mode::Fenced, false), began, windows);
        assert_eq!(excuse(117, &behind), Ok(Some(Excuse::Failover)));
        assert_eq!(excuse(130, &behind), Ok(None), "the TTL is over");
        let knows = [window(Effect::Failover { killed }, 111, 116)];
        assert_eq!(excuse(117, &knows), Ok(None), "the copy knew of it");
    }

    #[test]
    fn a_killed_writer_excuses_until_the_ttl_and_never_a_strict_one() {
        for (mode, began, excuse) in [
            (Mode::Fenced, 202, Some(Excuse::Killed)),
            (Mode::Fenced, 210, None),
            (Mode::Strict, 202, None),
        ] {
            let mut row = Row::new(RowId::all_of(mode, 0).next().expect("there are rows"));
            row.raise(second(200), 1, Source::Killed);
            assert_eq!(
                of_read(&mut row, began, &[]),
                Ok(excuse),
                "{mode:?} {began}"
            );
        }
    }

    #[test]
    fn what_is_kept_binds_its_own_process_and_when_it_is_delivered_all() {
        let mut row = row(Mode::Fenced, true);
        assert_eq!(
            of_read(&mut row, 111, &[]),
            Err(()),
            "another process may not know"
        );
        row.recovered(1, second(112), second(113));
        assert_eq!(of_read(&mut row, 114, &[]), Ok(None));
    }
}
