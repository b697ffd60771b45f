//! An access log that has been read.

use std::path::PathBuf;
use std::time::Duration;

use super::format::Segment;
use super::segments;
use crate::error::Error;
use crate::key::Key;
use crate::warm::file;

/// The time between the end of a segment and the beginning of the next is at most this: while nothing was recorded nothing is known of it.
const LONGEST_GAP: Duration = Duration::from_secs(1);

/// The accesses that a [`Recorder`](super::Recorder) has kept, in memory, in their order.
#[derive(Debug, Clone)]
pub struct AccessLog {
    segments: Vec<Segment>,
    dropped: u64,
}

impl AccessLog {
    /// Reads the files of a log, by the name that its recorder was given; or one file of it, by its own.
    ///
    /// A torn end, as a process leaves it that was killed while it wrote, is [dropped](Self::dropped_bytes).
    ///
    /// # Errors
    ///
    /// [`Error::File`] if a file cannot be read, is none of an access log, or was changed in its middle: the error names the place.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let read = file::in_background(path.into(), segments::read);
        let (segments, dropped) = read.await?;
        Ok(Self { segments, dropped })
    }

    /// Reads the stream of a namespace, as far as it is now.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the settings cannot be used, [`Error::Backend`] if the server cannot be reached, or the stream holds something else.
    #[cfg(feature = "redis")]
    pub async fn read_stream(server: crate::backend::redis::RedisBuilder) -> Result<Self, Error> {
        let (mut segments, dropped) = super::stream::read(server).await?;
        // Processes that record at once append when they have enough.
        segments.sort_by_key(|segment| segment.header.begun);
        Ok(Self { segments, dropped })
    }

    /// How many accesses there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The accesses of one key in so many are here; of the last part, if the recorder's settings were changed meanwhile.
    #[must_use]
    pub fn one_in(&self) -> u32 {
        self.segments.last().map_or(1, |last| last.header.one_in)
    }

    /// So many bytes were dropped, as they were torn: the end of a log whose process was killed.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped
    }

    /// The accesses, with their times since the first of them.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, Key)> + use<> {
        Accesses::new(self.segments.clone())
    }

    pub(super) fn into_accesses(self) -> Accesses {
        Accesses::new(self.segments)
    }
}

/// One after another.
#[derive(Debug)]
pub(super) struct Accesses {
    segments: std::vec::IntoIter<Segment>,
    now: Option<Segment>,
    /// When the present segment began, on the time of the log.
    began: Duration,
}

impl Accesses {
    fn new(segments: Vec<Segment>) -> Self {
        let mut segments = segments.into_iter();
        Self {
            now: segments.next(),
            segments,
            began: Duration::ZERO,
        }
    }

    /// How many are left.
    pub(super) fn left(&self) -> u64 {
        let later = self.segments.as_slice().iter();
        later.chain(&self.now).map(|segment| segment.records).sum()
    }
}

impl Iterator for Accesses {
    type Item = (Duration, Key);

    fn next(&mut self) -> Option<(Duration, Key)> {
        loop {
            let now = self.now.as_mut()?;
            if let Some(record) = now.next() {
                now.records = now.records.saturating_sub(1);
                return Some((self.began.saturating_add(record.at), record.key));
            }
            let ended = now.header.begun.saturating_add(now.last.as_micros() as u64);
            let last = self.began.saturating_add(now.last);
            self.now = self.segments.next();
            if let Some(next) = &self.now {
                let gap = Duration::from_micros(next.header.begun.saturating_sub(ended));
                self.began = last.saturating_add(gap.min(LONGEST_GAP));
            }
        }
    }
}
