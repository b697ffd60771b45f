//! Read-through: a loader that the cache knows, and can run by itself from a key alone.
//!
//! A call is the one of cache-aside but for the body, which is handed what its caller does not have. The same body is run for a key that is read by its text, for
//! one that is warmed up, and for one that is refreshed before it expires.

pub(crate) mod ahead;
mod by_key;
mod loader;

pub use by_key::loader;
pub(crate) use by_key::{Arguments, Called, Loader, Origin};
pub use loader::{
    Parse, ParsedOf, ReadThrough, Values, ViaParsed, assert_parsed, lacking, loading,
};

use std::future::Future;
use std::pin::pin;

use crate::pattern::background::{Late, replace};
use crate::pattern::entries::CacheValue;
use crate::pattern::read::{Answer, finish};
use crate::shape::Shape;

/// Does what the answer says, with a body that is handed its contexts by the cache that the call is on. Such a body outlives its call
/// where that is needed: all that it has is its own.
pub async fn finish_read_through<S, A>(
    reading: impl Future<Output = Answer<S>>,
    loader: &'static ReadThrough<A, S::Output>,
    arguments: impl FnOnce() -> A,
    late: Option<Late<S>>,
) -> S::Output
where
    S: Shape + Send + Sync + 'static,
    S::Output: Send + 'static,
    S::Error: Send,
    S::Value: CacheValue,
{
    match reading.await {
        Answer::Due(output, refresh) => {
            let body = loader.start(refresh.cache(), arguments());
            replace(*refresh, body);
            output
        }
        Answer::Load(load) => {
            let body = loader.start(&load.cache, arguments());
            match late {
                None => load.run(pin!(body)).await,
                Some(late) => match load.run_in_time(body).await {
                    Ok(output) => output,
                    Err(limit) => late.output(limit),
                },
            }
        }
        Answer::Late(limit) => match late {
            Some(late) => late.output(limit),
            None => unreachable!("a function without a timeout ran into one of {limit:?}"),
        },
        ready => finish(std::future::ready(ready), pin!(std::future::pending())).await,
    }
}
