//! An access log in a Redis stream: each entry is a segment of its own.

use super::format::{HEADER, Header, Segment};
use crate::backend::redis::RedisBuilder;
use crate::backend::redis::accesses::AccessStream;
use crate::error::{BackendError, BackendErrorKind, Error};

/// So many entries are read at once.
const PAGE: usize = 64;

#[derive(Debug)]
pub(super) struct Stream {
    stream: AccessStream,
    most: u64,
}

impl Stream {
    /// A stream of at most about so many entries.
    pub(super) async fn open(server: RedisBuilder, most: u64) -> Result<Self, Error> {
        let stream = server.accesses().await?;
        Ok(Self { stream, most })
    }

    pub(super) async fn append(&self, header: Option<Header>, records: &[u8]) -> Result<(), Error> {
        let mut segment = Vec::with_capacity(HEADER + records.len());
        if let Some(header) = header {
            header.write(&mut segment);
        }
        segment.extend_from_slice(records);
        Ok(self.stream.append(&segment, self.most.max(1)).await?)
    }
}

/// Reads the stream of a namespace from its beginning to what is its end now.
pub(super) async fn read(server: RedisBuilder) -> Result<(Vec<Segment>, u64), Error> {
    let stream = server.accesses().await?;
    let (mut segments, mut dropped) = (Vec::new(), 0);
    let mut after = None;
    loop {
        let page = stream.read(after.as_deref(), PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok((segments, dropped));
        };
        after = Some(last.clone());
        for (id, bytes) in page {
            let (segment, torn) = Segment::read(bytes).map_err(|problem| {
                // Named as a file is: the entry is what has to be looked at.
                let entry = crate::warm::FileError::new(format!("entry {id}").as_ref(), problem);
                BackendError::new(BackendErrorKind::Rejected, format!("access log: {entry}"))
            })?;
            segments.extend(segment);
            dropped += torn;
        }
    }
}
