//! Versions of tags: asked for, moved on, and held against what an entry says.

use std::sync::Arc;

use redis::Value;

use super::link::Link;
use super::names::{Name, Names};
use super::scripts::{self, Call, Script};
use super::unexpected;
use crate::backend::{TagVersion, Versions};
use crate::entry::header;
use crate::error::BackendError;
use crate::key::Key;
use crate::mutants::{self, Mutant};

/// How many tags one script invalidates: the server answers nobody else meanwhile, and Lua's stack has an end.
const PART: usize = 500;

/// The numbers are microseconds, and no greater than what Lua counts exactly.
const LAST: u64 = (1 << 53) - 1;

/// The version of the namespace, and what the clock of its tags says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Floor {
    pub(super) floor: u64,
    pub(super) clock: u64,
}

/// What is to be made of an entry, by what is known of its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// One of its tags, or the namespace, was invalidated after its load had begun; or it cannot be told any more.
    Old,
    /// It has tags of which nothing is known.
    Unclear,
}

/// Judges an entry. `version` tells what is known of a tag: nothing, or its version, which may be lost. What is from after the clock is from before the
/// clock was lost, when that was ahead of its time.
pub(super) fn judge<'e>(
    entry: &'e [u8],
    floor: Option<Floor>,
    version: impl Fn(&'e [u8]) -> Option<Option<u64>>,
) -> Verdict {
    let Some((since, tags)) = header::depends(entry) else {
        // No entry of this version: its reader sees that too.
        return Verdict::Good;
    };
    if floor.is_none_or(|it| since < it.floor || since > it.clock)
        && !mutants::on(Mutant::RedisFloorIgnored)
    {
        return Verdict::Old;
    }
    let mut verdict = Verdict::Good;
    for tag in tags {
        match version(tag) {
            Some(Some(version)) if since >= version => {}
            Some(None) if mutants::on(Mutant::RedisMissingTagIsOld) => {}
            Some(_) => return Verdict::Old,
            None if mutants::on(Mutant::RedisUnaskedTagIsGood) => {}
            None => verdict = Verdict::Unclear,
        }
    }
    verdict
}

/// A version as a read answers it; none where it was lost, or is no number of ours. A server that does not let it be read has lost nothing.
pub(super) fn number(link: &Arc<Link>, reply: &Value) -> Result<Option<u64>, BackendError> {
    Ok(text(link, reply)?.and_then(number_in))
}

/// As [`number`], of the namespace.
pub(super) fn floor(link: &Arc<Link>, reply: &Value) -> Result<Option<Floor>, BackendError> {
    Ok(text(link, reply)?.and_then(floor_in))
}

fn text<'r>(link: &Arc<Link>, reply: &'r Value) -> Result<Option<&'r str>, BackendError> {
    match reply {
        Value::BulkString(text) => Ok(std::str::from_utf8(text).ok()),
        Value::ServerError(error) if error.code() != "WRONGTYPE" => {
            link.accept(reply.clone()).and_then(|_| Err(unexpected()))
        }
        _ => Ok(None),
    }
}

fn number_in(digits: &str) -> Option<u64> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number)?;
    (number <= LAST).then_some(number)
}

fn floor_in(text: &str) -> Option<Floor> {
    let (floor, clock) = text.split_once(' ')?;
    Some(Floor {
        floor: number_in(floor)?,
        clock: number_in(clock)?,
    })
}

/// A version as a script answers it.
pub(super) fn version(reply: &Value) -> Option<TagVersion> {
    match reply {
        Value::Int(number) => u64::try_from(*number).ok().map(TagVersion::from_number),
        _ => None,
    }
}

/// The names of tags as the scripts take them: each after its length. One too long to be a tag of any entry is left out.
pub(super) fn block(tags: &[Key]) -> Vec<u8> {
    let mut block = Vec::with_capacity(tags.iter().map(|tag| 2 + tag.as_bytes().len()).sum());
    for name in tags.iter().map(Key::as_bytes) {
        if let Ok(length) = u16::try_from(name.len()) {
            block.extend_from_slice(&length.to_le_bytes());
            block.extend_from_slice(name);
        }
    }
    block
}

pub(super) async fn versions(
    link: &Arc<Link>,
    names: &Names,
    tags: &[Key],
) -> Result<Versions, BackendError> {
    let said = run(link, names, &scripts::VERSIONS, &[&block(tags)]).await?;
    let Value::Array(said) = said else {
        return Err(unexpected());
    };
    match said
        .iter()
        .map(version)
        .collect::<Option<Vec<_>>>()
        .as_deref()
    {
        Some(&[now, last]) => Ok(Versions { now, last }),
        _ => Err(unexpected()),
    }
}

pub(super) async fn invalidate(
    link: &Arc<Link>,
    names: &Names,
    tags: &[Key],
) -> Result<(), BackendError> {
    for part in tags.chunks(PART) {
        let args: Vec<_> = part.iter().map(Key::as_bytes).collect();
        run(link, names, &scripts::INVALIDATE_TAGS, &args).await?;
    }
    Ok(())
}

pub(super) async fn bump(link: &Arc<Link>, names: &Names) -> Result<(), BackendError> {
    run(link, names, &scripts::BUMP_NAMESPACE, &[])
        .await
        .map(drop)
}

/// Runs a script that is about tags alone.
async fn run(
    link: &Arc<Link>,
    names: &Names,
    script: &Script,
    own: &[&[u8]],
) -> Result<Value, BackendError> {
    let call = Call::<Name<'_>> {
        entries: &[],
        shared: &[names.tags().as_bytes()],
        own,
    };
    link.run(script, call).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Basis, Life, Tags};
    use crate::entry::{self, Meta};
    use crate::spec::CodecKind;

    #[cfg(feature = "bincode")]
    fn entry(since: u64, tags: &[&str]) -> Vec<u8> {
        let meta = Meta {
            fingerprint: 0,
            codec: CodecKind::Bincode,
            life: Life::new(std::time::Duration::from_secs(1)),
            basis: Basis {
                since: Some(TagVersion::from_number(since)),
                tags: tags.iter().map(|&tag| Key::from(tag)).collect::<Tags>(),
            },
        };
        entry::encode(Some(&7_u8), &meta).expect("small").to_vec()
    }

    #[cfg(feature = "bincode")]
    #[test]
    fn an_entry_is_as_good_as_the_worst_of_its_tags() {
        let entry = entry(10, &["a", "b"]);
        let judged = |floor: Option<u64>, a, b| {
            let floor = floor.map(|floor| Floor { floor, clock: 20 });
            judge(&entry, floor, |tag| if tag == b"a" { a } else { b })
        };
        assert_eq!(
            judged(Some(10), Some(Some(10)), Some(Some(3))),
            Verdict::Good
        );
        assert_eq!(judged(Some(11), Some(Some(1)), Some(Some(1))), Verdict::Old);
        assert_eq!(judged(None, Some(Some(1)), Some(Some(1))), Verdict::Old);
        assert_eq!(judged(Some(1), Some(Some(11)), Some(Some(1))), Verdict::Old);
        assert_eq!(judged(Some(1), Some(None), Some(Some(1))), Verdict::Old);
        assert_eq!(judged(Some(1), None, Some(Some(1))), Verdict::Unclear);
        assert_eq!(judged(Some(1), None, Some(Some(11))), Verdict::Old);
        assert_eq!(judge(b"foreign", None, |_| None), Verdict::Good);
    }

    #[test]
    fn versions_are_whole_numbers() {
        assert_eq!(number_in("1764318000000000"), Some(1_764_318_000_000_000));
        for odd in [
            "",
            "-1",
            "+1",
            " 1",
            "9007199254740992",
            "99999999999999999999",
        ] {
            assert_eq!(number_in(odd), None, "{odd}");
        }
        let both = Floor { floor: 3, clock: 7 };
        assert_eq!(floor_in("3 7"), Some(both));
        for odd in ["", "3", "3 ", " 7", "3  7", "3 7 9", "3,7"] {
            assert_eq!(floor_in(odd), None, "{odd}");
        }
    }

    #[cfg(feature = "bincode")]
    #[test]
    fn what_is_from_after_the_clock_is_from_before_it_was_lost() {
        let entry = entry(10, &[]);
        let with_clock = |clock| judge(&entry, Some(Floor { floor: 1, clock }), |_| None);
        assert_eq!(with_clock(10), Verdict::Good);
        assert_eq!(with_clock(9), Verdict::Old);
    }
}
