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
    pass(link, names).await?;
    pass(link, names).await
}

async fn pass(link: &Arc<Link>, names: &Names) -> Result<(), BackendError> {
    let pattern = names.pattern();
    let mut cursor = b"0".to_vec();
    loop {
        let mut scan = Cmd::with_capacity(6, 64);
        scan.arg("SCAN")
            .arg(&cursor[..])
            .arg("MATCH")
            .arg(&pattern[..])
            .arg("COUNT")
            .arg(STEP);
        let (next, found) = page(link.send(&scan).await?)?;
        let mut entries: Vec<_> = found.into_iter().map(Names::entry_of).collect();
        entries.sort_unstable();
        entries.dedup();
        let entries: Vec<_> = entries
            .iter()
            .map(|(value, state)| [&value[..], &state[..]])
            .collect();
        link.run_on_all(&scripts::INVALIDATE, &entries).await?;
        if next == b"0" {
            return Ok(());
        }
        cursor = next;
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
