//! Where an access log is written to.

use std::time::Duration;

use super::format::Header;
use super::recorder::Target;
use super::segments::Files;
use crate::error::Error;
use crate::warm::file::{self, FileError};

/// So much is written at once at most.
const BATCH: usize = 16 << 10;

/// Records to be written, with the header of the segment that they begin.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) header: Option<Header>,
    pub(super) bytes: Vec<u8>,
    pub(super) records: u64,
    /// Whether there may be more to be written at once.
    pub(super) more: bool,
}

#[derive(Debug)]
pub(super) enum Sink {
    Files(Files),
    /// A write was given up half-way, by a runtime that ended.
    Gone,
    #[cfg(feature = "redis")]
    Stream(super::stream::Stream),
}

impl Sink {
    pub(super) async fn open(target: &Target, most: u64) -> Result<Self, Error> {
        match target {
            Target::File(path) => Ok(Self::Files(Files::new(path.clone(), most))),
            #[cfg(feature = "redis")]
            Target::Stream(server) => {
                let stream = super::stream::Stream::open(server.clone(), most / BATCH as u64);
                Ok(Self::Stream(stream.await?))
            }
        }
    }

    /// How long accesses wait to be written together.
    pub(super) fn linger(&self) -> Duration {
        match self {
            Self::Files(_) | Self::Gone => Duration::from_millis(100),
            // A stream is bounded by its number of entries, so each is to be worth it.
            #[cfg(feature = "redis")]
            Self::Stream(_) => Duration::from_secs(5),
        }
    }

    pub(super) fn batch_bytes(&self) -> usize {
        match self {
            Self::Files(files) => files.batch_bytes().min(BATCH),
            _ => BATCH,
        }
    }

    /// How many bytes of the open segment are written. `None`: what is written next begins one.
    pub(super) fn place(&self) -> Option<usize> {
        match self {
            Self::Files(files) => files.place(),
            // Each entry of a stream is a segment.
            _ => None,
        }
    }

    pub(super) async fn write(&mut self, batch: Batch) -> Result<(), Error> {
        let Batch { header, bytes, .. } = batch;
        #[cfg(feature = "redis")]
        if let Self::Stream(stream) = self {
            return stream.append(header, &bytes).await;
        }
        let write = move |files: &mut Files| {
            if let Some(header) = header {
                files.begin(header)?;
            }
            files.append(&bytes)
        };
        self.with_files(write).await
    }

    /// What is written is on the disk then.
    pub(super) async fn end(&mut self) -> Result<(), Error> {
        self.with_files(Files::end).await
    }

    async fn with_files(
        &mut self,
        work: impl FnOnce(&mut Files) -> Result<(), FileError> + Send + 'static,
    ) -> Result<(), Error> {
        let mut files = match std::mem::replace(self, Self::Gone) {
            Self::Files(files) => files,
            Self::Gone => return Err(Error::ShutDown),
            #[cfg(feature = "redis")]
            stream @ Self::Stream(_) => {
                *self = stream;
                return Ok(());
            }
        };
        let path = files.path().to_owned();
        let done = file::in_background(path, move |_| {
            let done = work(&mut files);
            Ok((files, done))
        });
        let (files, done) = done.await?;
        *self = Self::Files(files);
        Ok(done?)
    }
}
