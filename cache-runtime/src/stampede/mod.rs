//! What keeps many callers of one key from loading it many times: when it is cold, and when its entry grows old.

pub(crate) mod early;
pub(crate) mod flight;
pub(crate) mod refresh;
pub(crate) mod stale;
