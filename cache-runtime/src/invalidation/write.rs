//! `#[invalidates]`: the body, and the invalidation that follows it whatever happens.

use std::future::Future;
use std::pin::pin;

use super::announced::Announced;
use super::keys::Keys;
use super::owed::Owed;
use crate::cache::{self, Cache};
use crate::error::Error;
use crate::mutants::{self, Mutant};
use crate::shape::Shape;
use crate::spec::WriterSpec;

/// An error type that can say that a strict write was refused.
#[diagnostic::on_unimplemented(
    message = "a strict writer's error type must be able to hold a refusal: `{Self}` cannot be made from `cache_runtime::Error`",
    label = "needs `From<cache_runtime::Error>`",
    note = "`consistency = \"strict\"` refuses the write when readers cannot be told of it; return `Result<_, E>` with `impl From<cache_runtime::Error> for E`"
)]
pub trait StrictError: From<Error> {}

impl<E: From<Error>> StrictError for E {}

/// Runs a writer's body and then invalidates its keys: after `Ok`, `Err`, a panic, or when the future is dropped.
pub async fn write<S, F, K>(
    spec: &'static WriterSpec,
    given: Option<Cache>,
    keys: Keys,
    shape: S,
    from_return: K,
    body: F,
) -> S::Output
where
    S: Shape,
    F: Future<Output = S::Output>,
    K: FnOnce(&S::Value, &mut Keys),
{
    let only_ok = spec.is_only_ok() || mutants::on(Mutant::NothingInvalidatedAfterError);
    let mut owed = Owed::new(cache::resolve(given), keys, only_ok);
    let output = body.await;
    if let Some(value) = shape.peek(&output) {
        from_return(value, &mut owed.keys);
    }
    if !only_ok || shape.succeeded(&output) {
        owed.settle().await;
    }
    output
}

/// How a strict writer says that its write was refused. Asked for on its own, so that a type which cannot say it is reported
/// at the writer's return type.
pub fn refusal<S>(_: &S) -> fn(Error) -> S::Error
where
    S: Shape,
    S::Error: StrictError,
{
    S::Error::from
}

/// Announces the write, runs the body, and ends the write; refuses to run the body if it cannot be announced.
pub async fn write_strict<S, F>(
    _: &'static WriterSpec,
    given: Option<Cache>,
    mut keys: Keys,
    shape: S,
    refuse: fn(Error) -> S::Error,
    body: F,
) -> S::Output
where
    S: Shape,
    F: Future<Output = S::Output>,
{
    // Each of the futures around it would hold it once more.
    let body = pin!(body);
    let cache = cache::resolve(given);
    keys.dedup();
    let transaction = cache::transaction();
    let mut write = Announced::new(&cache);
    if let Err(error) = write.announce(keys.keys()).await
        && !mutants::on(Mutant::StrictWriteUnannounced)
    {
        return shape.failed(refuse(Error::Refused(error)));
    }
    if let Some(transaction) = &transaction {
        transaction.note(&cache, &keys);
    }
    let output = write.run(body).await;
    write.end(transaction.as_deref()).await;
    output
}
