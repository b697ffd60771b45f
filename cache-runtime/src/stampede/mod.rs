//! What keeps many callers of one cold key from loading it many times.

pub(crate) mod flight;
