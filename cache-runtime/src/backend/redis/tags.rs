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

/// How many tags one script invalidates: the server answers nobody else meanwhile, and Lua's stack has an end.
const PART: usize = 500;

/// The numbers are microseconds, below what Lua counts exactly.
const DIGITS: usize = 16;

/// What is to be made of an entry, by what is known of its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// One of its tags, or the namespace, was invalidated after its load had begun; or it cannot be told any more.
    Old,
    /// It has tags of which nothing is known.
    Unclear,
}

/// Judges an entry. `version` tells what is known of a tag: nothing, or its version, which may be lost.
pub(super) fn judge<'e>(
    entry: &'e [u8],
    floor: Option<u64>,
    version: impl Fn(&'e [u8]) -> Option<Option<u64>>,
) -> Verdict {
    let Some((since, tags)) = header::depends(entry) else {
        // No entry of this version: its reader sees that too.
        return Verdict::Good;
    };
    if floor.is_none_or(|floor| since < floor) {
        return Verdict::Old;
    }
    let mut verdict = Verdict::Good;
    for tag in tags {
        match version(tag) {
            Some(Some(version)) if since >= version => {}
            Some(_) => return Verdict::Old,
            None => verdict = Verdict::Unclear,
        }
    }
    verdict
}

/// A version as a read answers it; none where it was lost, or is no number of ours.
pub(super) fn number(reply: &Value) -> Option<u64> {
    match reply {
        Value::BulkString(digits) if digits.len() <= DIGITS => {
            std::str::from_utf8(digits).ok()?.parse().ok()
        }
        _ => None,
    }
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
        let judged = |floor, a, b| judge(&entry, floor, |tag| if tag == b"a" { a } else { b });
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
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        assert_eq!(
            number(&text("1764318000000000")),
            Some(1_764_318_000_000_000)
        );
        assert_eq!(number(&text("")), None);
        assert_eq!(number(&text("12345678901234567")), None);
        assert_eq!(number(&text("-1")), None);
        assert_eq!(number(&Value::Nil), None);
    }
}
