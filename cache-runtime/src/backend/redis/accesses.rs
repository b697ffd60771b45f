//! The stream of a namespace's recorded accesses.

use std::fmt;
use std::sync::Arc;

use redis::{Cmd, Value};

use super::builder::RedisBuilder;
use super::link::Link;
use crate::error::{BackendError, BackendErrorKind, Error};

/// A connection of its own, for one stream.
pub(crate) struct AccessStream {
    link: Arc<Link>,
    name: String,
}

impl fmt::Debug for AccessStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessStream({})", self.name)
    }
}

/// An entry: its id and its bytes.
pub(crate) type Entry = (String, Vec<u8>);

impl RedisBuilder {
    /// Connects to the namespace's stream of accesses.
    pub(crate) async fn accesses(self) -> Result<AccessStream, Error> {
        let (link, names) = self.open().await?;
        Ok(AccessStream {
            name: names.accesses().to_owned(),
            link,
        })
    }
}

impl AccessStream {
    /// Appends an entry, and lets the oldest go where there are more than so many, or some more.
    pub(crate) async fn append(&self, bytes: &[u8], most: u64) -> Result<(), BackendError> {
        let mut command = Cmd::new();
        command.arg("XADD").arg(&self.name);
        command.arg("MAXLEN").arg("~").arg(most).arg("*");
        command.arg("s").arg(bytes);
        self.link.send(&command).await.map(drop)
    }

    /// So many entries after the one of this id, or from the first.
    pub(crate) async fn read(
        &self,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<Entry>, BackendError> {
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let mut command = Cmd::new();
        command.arg("XRANGE").arg(&self.name).arg(from).arg("+");
        command.arg("COUNT").arg(count);
        let Value::Array(entries) = self.link.send(&command).await? else {
            return Err(strange());
        };
        entries
            .into_iter()
            .map(|it| entry(it).ok_or_else(strange))
            .collect()
    }
}

fn entry(value: Value) -> Option<Entry> {
    let Value::Array(parts) = value else {
        return None;
    };
    let [Value::BulkString(id), Value::Array(fields)] = <[Value; 2]>::try_from(parts).ok()? else {
        return None;
    };
    let [_, Value::BulkString(bytes)] = <[Value; 2]>::try_from(fields).ok()? else {
        return None;
    };
    Some((String::from_utf8(id).ok()?, bytes))
}

fn strange() -> BackendError {
    BackendError::new(
        BackendErrorKind::Rejected,
        "the stream of accesses holds what no cache has written",
    )
}
