//! The annotated functions under test.

use std::fmt;

use cache_runtime::{Error, cached, invalidates};
use serde::{Deserialize, Serialize};

use super::station::Station;
use crate::keys::{Mode, RowId};
use crate::words::How;

/// What is cached: a version of a row, and from when.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Value {
    pub(super) version: u64,
    /// When the database was asked, when its answer had come to its end, and in which process.
    pub(super) asked: u64,
    pub(super) loaded: u64,
    pub(super) loader: u64,
    /// Whether it is what a writer has stored.
    pub(super) written: bool,
}

/// Why there is no value.
#[derive(Debug, Clone)]
pub(super) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(format!("{error:?}"))
    }
}

type Result = std::result::Result<Value, Failure>;

// The TTL is `crate::member::TTL`.

#[cached(key = "eventual:<row>", ttl = "2s", consistency = "eventual")]
async fn eventual(station: &Station, row: u64) -> Result {
    station.load(RowId(row)).await
}

#[cached(key = "fenced:<row>", ttl = "2s")]
async fn fenced(station: &Station, row: u64) -> Result {
    station.load(RowId(row)).await
}

#[cached(key = "version:<row>", ttl = "2s")]
async fn of_versions(station: &Station, row: u64) -> Result {
    station.load(RowId(row)).await
}

#[cached(key = "strict:<row>", ttl = "2s", consistency = "strict")]
async fn strict(station: &Station, row: u64) -> Result {
    station.load(RowId(row)).await
}

/// Keeps its values for longer than is right.
#[cached(key = "fenced:<row>", ttl = "1h")]
async fn fenced_for_an_hour(station: &Station, row: u64) -> Result {
    station.load(RowId(row)).await
}

#[invalidates("eventual:<row>")]
async fn invalidate_eventual(station: &Station, row: u64) -> Result {
    station.write(RowId(row), How::Invalidates).await
}

#[invalidates("fenced:<row>")]
async fn invalidate_fenced(station: &Station, row: u64) -> Result {
    station.write(RowId(row), How::Invalidates).await
}

#[invalidates("strict:<row>", consistency = "strict")]
async fn invalidate_strict(station: &Station, row: u64) -> Result {
    station.write(RowId(row), How::Invalidates).await
}

#[cached(
    pattern = "write-through",
    key = "eventual:<row>",
    ttl = "2s",
    consistency = "eventual"
)]
async fn put_eventual(station: &Station, row: u64) -> Result {
    station.write(RowId(row), How::WriteThrough).await
}

#[cached(pattern = "write-through", key = "fenced:<row>", ttl = "2s")]
async fn put_fenced(station: &Station, row: u64) -> Result {
    station.write(RowId(row), How::WriteThrough).await
}

#[cached(
    pattern = "write-through",
    key = "version:<row>",
    ttl = "2s",
    version = "<return.version>"
)]
async fn put_version(station: &Station, row: u64) -> Result {
    station.write(RowId(row), How::ByVersion).await
}

#[cached(
    pattern = "write-through",
    key = "strict:<row>",
    ttl = "2s",
    consistency = "strict"
)]
async fn put_strict(station: &Station, row: u64) -> Result {
    station.write(RowId(row), How::WriteThrough).await
}

/// Reads the row by its mode's loader.
pub(super) async fn read(station: &Station, row: RowId) -> Result {
    match row.mode() {
        Mode::Eventual => eventual(station, row.0).await,
        Mode::Fenced if station.never_expires() => fenced_for_an_hour(station, row.0).await,
        Mode::Fenced | Mode::MemoryFenced => fenced(station, row.0).await,
        Mode::Versions => of_versions(station, row.0).await,
        Mode::Strict | Mode::MemoryStrict => strict(station, row.0).await,
    }
}

/// Writes the row by one of its mode's writers.
pub(super) async fn write(station: &Station, row: RowId, through: bool) -> Result {
    match (row.mode(), through) {
        (Mode::Eventual, false) => invalidate_eventual(station, row.0).await,
        (Mode::Eventual, true) => put_eventual(station, row.0).await,
        (Mode::Fenced | Mode::MemoryFenced, false) => invalidate_fenced(station, row.0).await,
        (Mode::Fenced | Mode::MemoryFenced, true) => put_fenced(station, row.0).await,
        // An invalidation tells the fence nothing: an older version that is still on its way would be stored after it.
        (Mode::Versions, _) => put_version(station, row.0).await,
        (Mode::Strict | Mode::MemoryStrict, false) => invalidate_strict(station, row.0).await,
        (Mode::Strict | Mode::MemoryStrict, true) => put_strict(station, row.0).await,
    }
}
