//! The patterns: what a call of an annotated function does.

pub(crate) mod aside;
pub(crate) mod background;
pub(crate) mod batch;
pub(crate) mod contexts;
pub(crate) mod entries;
pub(crate) mod known;
mod loading;
pub(crate) mod read;
pub(crate) mod read_through;
pub(crate) mod write_behind;
pub(crate) mod write_through;
pub(crate) mod writers;
