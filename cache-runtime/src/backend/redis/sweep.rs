//! Removes everything of a namespace.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::link::Link;
use super::names::Names;
use super::scripts;
use crate::error::{BackendError, BackendErrorKind};

/// How many keys the server looks at in one step: it answers others in between.
const STEP: &[u8] = b"1000";

pub(super) async fn clear(link: &Arc<Link>, names: &Names) -> Result<(), BackendError> {
    // Twice: a value that a load from before this stored during the first pass, in place of its lease, may be passed over by it, as
    // SCAN promises only what is there from its beginning to its end.
    for _ in 0..2 {
        let mut pages = Pages::of(names.pattern());
        while let Some(found) = pages.next(link).await? {
            invalidate(link, found).await?;
        }
    }
    // A version that is missing counts as newer than everything. The clock stays: it must not fall behind an entry that is being stored.
    let mut pages = Pages::of(names.pattern_of_tags());
    while let Some(found) = pages.next(link).await? {
        if !found.is_empty() {
            let mut unlink = Cmd::with_capacity(found.len() + 1, 64 * found.len());
            unlink.arg("UNLINK").arg(found);
            link.send(&unlink).await?;
        }
    }
    Ok(())
}

async fn invalidate(link: &Arc<Link>, found: Vec<Vec<u8>>) -> Result<(), BackendError> {
    let mut entries: Vec<_> = found.into_iter().map(Names::entry_of).collect();
    entries.sort_unstable();
    entries.dedup();
    let entries: Vec<_> = entries
        .iter()
        .map(|(value, state)| [&value[..], &state[..]])
        .collect();
    link.run_on_all(&scripts::INVALIDATE, &entries).await
}

/// A scan of the names that match a pattern, page by page.
struct Pages {
    pattern: Vec<u8>,
    /// `None` after the last page.
    cursor: Option<Vec<u8>>,
}

impl Pages {
    fn of(pattern: Vec<u8>) -> Self {
        Self {
            pattern,
            cursor: Some(b"0".to_vec()),
        }
    }

    async fn next(&mut self, link: &Arc<Link>) -> Result<Option<Vec<Vec<u8>>>, BackendError> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let mut scan = Cmd::with_capacity(6, 64);
        scan.arg("SCAN")
            .arg(&cursor[..])
            .arg("MATCH")
            .arg(&self.pattern[..])
            .arg("COUNT")
            .arg(STEP);
        let (next, found) = page(link.send(&scan).await?)?;
        self.cursor = (next != b"0").then_some(next);
        Ok(Some(found))
    }
}

/// The next cursor, and the names found.
fn page(reply: Value) -> Result<(Vec<u8>, Vec<Vec<u8>>), BackendError> {
    let bytes = |value: Value| {
        if let Value::BulkString(bytes) = value {
            Some(bytes)
        } else {
            None
        }
    };
    if let Value::Array(parts) = reply
        && let Ok([cursor, Value::Array(found)]) = <[Value; 2]>::try_from(parts)
        && let Some(cursor) = bytes(cursor)
    {
        return Ok((cursor, found.into_iter().filter_map(bytes).collect()));
    }
    Err(BackendError::new(
        BackendErrorKind::Rejected,
        "SCAN answered what it cannot answer",
    ))
}
