//! The conformance suite on the backends that come with the crate, and on some that break the contract.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{panic, slice, thread};

use cache_runtime::Key;
use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{
    Ask, Backend, BackendFuture, Basis, Fill, HeldLease, Lease, LeaseMode, Life, Memory, Stored,
    TagVersion, Tags, Token, Versions, WriteEnd,
};
use cache_runtime::testing::{Faulty, conformance};
use tests::RedisServer;

/// The cases that the backend is to pass: those for a log if it keeps one.
fn cases_for(backend: &dyn Backend) -> Vec<conformance::Case> {
    let mut cases = conformance::cases();
    if backend.write_log().is_some() {
        cases.extend(conformance::log_cases());
    }
    cases
}

/// Runs all cases against the backend, one after another, and gives the names of those that fail.
async fn failing(backend: Arc<dyn Backend>) -> Vec<&'static str> {
    let mut failing = Vec::new();
    for case in cases_for(&*backend) {
        let name = case.name();
        let backend = Arc::clone(&backend);
        if tokio::spawn(async move { case.run(backend).await })
            .await
            .is_err()
        {
            failing.push(name);
        }
    }
    failing
}

#[tokio::test]
async fn memory_passes_every_case() {
    assert_eq!(failing(Arc::new(Memory::new())).await, [""; 0]);
}

#[tokio::test]
async fn memory_behind_the_fault_injector_passes_every_case() {
    let (backend, _faults) = Faulty::new(Memory::new());
    assert_eq!(failing(Arc::new(backend)).await, [""; 0]);
}

#[tokio::test]
async fn redis_passes_every_case() {
    let server = RedisServer::start().await;
    let backend = Redis::from_url(&server.url())
        .unwrap()
        .namespace("conformance")
        .connect()
        .await
        .unwrap();
    assert_eq!(failing(Arc::new(backend)).await, [""; 0]);
}

#[tokio::test]
async fn redis_over_a_unix_socket_passes_every_case() {
    let server = RedisServer::start().await;
    let url = format!("unix://{}?db=1", server.socket().display());
    let backend = Redis::from_url(&url)
        .unwrap()
        .namespace("con:form{ance}*")
        .connect()
        .await
        .unwrap();
    assert_eq!(failing(Arc::new(backend)).await, [""; 0]);
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let cases = [conformance::cases(), conformance::log_cases()].concat();
    let mut names: Vec<_> = cases.iter().map(conformance::Case::name).collect();
    let cases = names.len();
    names.sort_unstable();
    names.dedup();
    assert!(cases > 40 && names.len() == cases);
}

/// One way to break the contract.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    FillsWithoutItsLease,
    KeepsTheLeaseOnInvalidate,
    KeepsTheValueOnInvalidate,
    InvalidatesTheFirstKeyOnly,
    GrantsBesideAWrite,
    PutsBesideAWrite,
    StoresAnOverlappedWrite,
    ForgetsTheFence,
    ExpiresEarly,
    WaitsForEver,
    ReleasesForAnybody,
    NeverRenews,
    RefusesARefresh,
    DoesNotClear,
    KnowsNoAge,
    KeepsTheFirstAge,
    LeaseHitsAreNew,
    ForgetsAtTheTtl,
    TakesAnyValueForTheMarked,
    HidesAMarkedValue,
    HitsAMarkedValue,
    RefusesAMarkThatIsGone,
    GrantsAMarkTwice,
    SkipsGaps,
    GivesDuplicatesOnce,
    LeasesAllOrNone,
    MissesManyHits,
    StopsAtALostLease,
    FillsManyWithoutLeases,
    RenewsAllOrNone,
    ReleasesManyForAnybody,
    ReleasesTheFirstOnly,
    KeepsWhatHasATag,
    InvalidatesTheFirstTagOnly,
    InvalidatesEveryTag,
    DoesNotBump,
    FillsFromBeforeAnInvalidation,
    KeepsTheLeaseOfAnOldLoad,
    TellsNothingOfInvalidations,
    TellsOfTheClockOnly,
    PutsOldValues,
    WritesOldValues,
    KeepsWhatAnOldVersionOvertook,
    ForgetsTagsOfTheResult,
}

const FLAWS: [Flaw; 44] = [
    Flaw::FillsWithoutItsLease,
    Flaw::KeepsTheLeaseOnInvalidate,
    Flaw::KeepsTheValueOnInvalidate,
    Flaw::InvalidatesTheFirstKeyOnly,
    Flaw::GrantsBesideAWrite,
    Flaw::PutsBesideAWrite,
    Flaw::StoresAnOverlappedWrite,
    Flaw::ForgetsTheFence,
    Flaw::ExpiresEarly,
    Flaw::WaitsForEver,
    Flaw::ReleasesForAnybody,
    Flaw::NeverRenews,
    Flaw::RefusesARefresh,
    Flaw::DoesNotClear,
    Flaw::KnowsNoAge,
    Flaw::KeepsTheFirstAge,
    Flaw::LeaseHitsAreNew,
    Flaw::ForgetsAtTheTtl,
    Flaw::TakesAnyValueForTheMarked,
    Flaw::HidesAMarkedValue,
    Flaw::HitsAMarkedValue,
    Flaw::RefusesAMarkThatIsGone,
    Flaw::GrantsAMarkTwice,
    Flaw::SkipsGaps,
    Flaw::GivesDuplicatesOnce,
    Flaw::LeasesAllOrNone,
    Flaw::MissesManyHits,
    Flaw::StopsAtALostLease,
    Flaw::FillsManyWithoutLeases,
    Flaw::RenewsAllOrNone,
    Flaw::ReleasesManyForAnybody,
    Flaw::ReleasesTheFirstOnly,
    Flaw::KeepsWhatHasATag,
    Flaw::InvalidatesTheFirstTagOnly,
    Flaw::InvalidatesEveryTag,
    Flaw::DoesNotBump,
    Flaw::FillsFromBeforeAnInvalidation,
    Flaw::KeepsTheLeaseOfAnOldLoad,
    Flaw::TellsNothingOfInvalidations,
    Flaw::TellsOfTheClockOnly,
    Flaw::PutsOldValues,
    Flaw::WritesOldValues,
    Flaw::KeepsWhatAnOldVersionOvertook,
    Flaw::ForgetsTagsOfTheResult,
];

/// A sound backend but for one flaw.
#[derive(Debug)]
struct Flawed {
    inner: Memory,
    flaw: Flaw,
    /// The last lease granted, whoever asks.
    last: Mutex<Option<Token>>,
    /// When a value was first asked for.
    born: Mutex<Option<Instant>>,
}

impl Flawed {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn ttl(&self, ttl: Duration) -> Duration {
        if self.is(Flaw::ExpiresEarly) {
            ttl / 2
        } else {
            ttl
        }
    }

    /// What becomes of a value that is asked for.
    fn found(&self, found: Option<Stored>, by_lease: bool) -> Option<Stored> {
        let Some(Stored::Typed(mut typed)) = found else {
            return found;
        };
        let (ttl, age) = (typed.life.ttl(), typed.life.age());
        if self.is(Flaw::ForgetsAtTheTtl) && age >= ttl {
            return None;
        }
        if self.is(Flaw::KnowsNoAge) || self.is(Flaw::LeaseHitsAreNew) && by_lease {
            typed.life = Life::new(ttl);
        }
        if self.is(Flaw::KeepsTheFirstAge) {
            let born = *self.born.lock().unwrap().get_or_insert_with(Instant::now);
            typed.life = Life::new(ttl).aged(born.elapsed());
        }
        Some(Stored::Typed(typed))
    }

    /// What becomes of the question for a lease.
    async fn mode(&self, key: &Key, mode: LeaseMode) -> LeaseMode {
        let LeaseMode::IfStill(_) = mode else {
            return match mode {
                LeaseMode::Refresh if self.is(Flaw::RefusesARefresh) => LeaseMode::IfMissing,
                mode => mode,
            };
        };
        let is_gone = self.inner.get(key).await.unwrap().is_none();
        match self.flaw {
            Flaw::TakesAnyValueForTheMarked => LeaseMode::Refresh,
            Flaw::HitsAMarkedValue if !is_gone => LeaseMode::IfMissing,
            _ => mode,
        }
    }

    /// What is told to who finds a lease.
    fn told(&self, versions: Versions) -> Versions {
        let last = match self.flaw {
            Flaw::TellsNothingOfInvalidations => TagVersion::ZERO,
            Flaw::TellsOfTheClockOnly => versions.now,
            _ => versions.last,
        };
        Versions { last, ..versions }
    }

    fn last(&self) -> Option<Token> {
        *self.last.lock().unwrap()
    }
}

/// The value as if it were from now.
fn as_new(value: Stored) -> Stored {
    with_basis(value, |basis| Basis {
        since: None,
        tags: basis.tags.clone(),
    })
}

/// The value with the first of its tags alone.
fn with_one_tag(value: Stored) -> Stored {
    with_basis(value, |basis| Basis {
        since: basis.since,
        tags: basis
            .tags
            .as_slice()
            .iter()
            .take(1)
            .cloned()
            .collect::<Tags>(),
    })
}

fn with_basis(value: Stored, change: impl Fn(&Basis) -> Basis) -> Stored {
    let Stored::Typed(mut typed) = value else {
        return value;
    };
    typed.basis = typed.basis.map(|basis| Arc::new(change(&basis)));
    Stored::Typed(typed)
}

impl Backend for Flawed {
    tests::forward!(format, begin_write, renew_write, versions);
    fn name(&self) -> &'static str {
        "flawed"
    }

    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>> {
        Box::pin(async move { Ok(self.found(self.inner.get(key).await?, false)) })
    }

    fn get_many<'a>(
        &'a self,
        keys: &'a [Key],
        tags: &'a [Key],
    ) -> BackendFuture<'a, Vec<Option<Stored>>> {
        Box::pin(async move {
            let mut found = self.inner.get_many(keys, tags).await?;
            match self.flaw {
                Flaw::SkipsGaps => found.retain(Option::is_some),
                Flaw::GivesDuplicatesOnce => {
                    for at in 0..keys.len() {
                        if keys[..at].contains(&keys[at]) {
                            found[at] = None;
                        }
                    }
                }
                _ => {}
            }
            Ok(found)
        })
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease> {
        Box::pin(async move {
            let marked = matches!(mode, LeaseMode::IfStill(_));
            let mode = self.mode(key, mode).await;
            let versions = self.inner.versions(tags).await?;
            match self.inner.lease(key, tags, token, ttl, mode).await? {
                Lease::Granted(_) if marked && self.is(Flaw::HidesAMarkedValue) => {
                    self.inner.invalidate(slice::from_ref(key)).await?;
                    self.inner
                        .lease(key, tags, token, ttl, LeaseMode::IfMissing)
                        .await
                }
                Lease::Granted(_)
                    if marked
                        && self.is(Flaw::RefusesAMarkThatIsGone)
                        && self.inner.get(key).await?.is_none() =>
                {
                    self.inner.release(key, token).await?;
                    Ok(Lease::Busy(token, versions))
                }
                Lease::Busy(..) if marked && self.is(Flaw::GrantsAMarkTwice) => {
                    Ok(Lease::Granted(versions))
                }
                Lease::Busy(holder, told) => Ok(Lease::Busy(holder, self.told(told))),
                Lease::Hit(stored) => match self.found(Some(stored), true) {
                    Some(stored) => Ok(Lease::Hit(stored)),
                    None => Ok(Lease::Granted(versions)),
                },
                Lease::Bypass(..) if self.is(Flaw::GrantsBesideAWrite) => {
                    Ok(Lease::Granted(versions))
                }
                Lease::Granted(versions) => {
                    *self.last.lock().unwrap() = Some(token);
                    Ok(Lease::Granted(versions))
                }
                other => Ok(other),
            }
        })
    }

    fn renew<'a>(&'a self, key: &'a Key, token: Token, ttl: Duration) -> BackendFuture<'a, bool> {
        if self.is(Flaw::NeverRenews) {
            Box::pin(async { Ok(false) })
        } else {
            self.inner.renew(key, token, ttl)
        }
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        let ttl = self.ttl(ttl);
        match self.flaw {
            Flaw::FillsWithoutItsLease => self.inner.put(key, value, ttl),
            Flaw::FillsFromBeforeAnInvalidation => self.inner.fill(key, token, as_new(value), ttl),
            Flaw::KeepsTheLeaseOfAnOldLoad => Box::pin(async move {
                let stored = self.inner.fill(key, token, value, ttl).await?;
                if !stored {
                    let mode = LeaseMode::IfMissing;
                    let long = Duration::from_secs(60);
                    self.inner.lease(key, &[], token, long, mode).await?;
                }
                Ok(stored)
            }),
            Flaw::ForgetsTagsOfTheResult => self.inner.fill(key, token, with_one_tag(value), ttl),
            _ => self.inner.fill(key, token, value, ttl),
        }
    }

    fn release<'a>(&'a self, key: &'a Key, token: Token) -> BackendFuture<'a, ()> {
        let token = if self.is(Flaw::ReleasesForAnybody) {
            self.last().unwrap_or(token)
        } else {
            token
        };
        self.inner.release(key, token)
    }

    fn lease_many<'a>(&'a self, asks: &'a [Ask], ttl: Duration) -> BackendFuture<'a, Vec<Lease>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for ask in asks {
                let mode = match self.flaw {
                    Flaw::MissesManyHits => LeaseMode::Refresh,
                    _ => ask.mode,
                };
                let tags = ask.tags.as_slice();
                answers.push(self.lease(&ask.key, tags, ask.token, ttl, mode).await?);
            }
            let refused = answers
                .iter()
                .find(|answer| !matches!(answer, Lease::Granted(_)));
            if let (Flaw::LeasesAllOrNone, Some(refused)) = (self.flaw, refused.cloned()) {
                answers.fill(refused);
            }
            Ok(answers)
        })
    }

    fn renew_many<'a>(
        &'a self,
        held: &'a [HeldLease],
        ttl: Duration,
    ) -> BackendFuture<'a, Vec<bool>> {
        Box::pin(async move {
            let mut stand = self.inner.renew_many(held, ttl).await?;
            if self.is(Flaw::NeverRenews)
                || self.is(Flaw::RenewsAllOrNone) && stand.contains(&false)
            {
                stand.fill(false);
            }
            Ok(stand)
        })
    }

    fn fill_many(&self, fills: Vec<Fill>) -> BackendFuture<'_, Vec<bool>> {
        Box::pin(async move {
            let mut stored = Vec::new();
            for fill in fills {
                let Fill {
                    key,
                    token,
                    value,
                    keep,
                } = fill;
                if self.is(Flaw::StopsAtALostLease) && stored.contains(&false) {
                    stored.push(false);
                } else if self.is(Flaw::FillsManyWithoutLeases) {
                    stored.push(self.inner.put(&key, value, keep).await?);
                } else {
                    stored.push(self.fill(&key, token, value, keep).await?);
                }
            }
            Ok(stored)
        })
    }

    fn release_many<'a>(&'a self, held: &'a [HeldLease]) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            match self.flaw {
                Flaw::ReleasesManyForAnybody => {
                    let keys: Vec<_> = held.iter().map(|(key, _)| key.clone()).collect();
                    self.inner.invalidate(&keys).await
                }
                Flaw::ReleasesTheFirstOnly => {
                    self.inner.release_many(&held[..held.len().min(1)]).await
                }
                _ => self.inner.release_many(held).await,
            }
        })
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            match self.flaw {
                Flaw::KeepsTheValueOnInvalidate => Ok(()),
                Flaw::InvalidatesTheFirstKeyOnly => {
                    self.inner.invalidate(&keys[..keys.len().min(1)]).await
                }
                Flaw::KeepsTheLeaseOnInvalidate => {
                    self.inner.invalidate(keys).await?;
                    if let (Some(token), [key]) = (self.last(), keys) {
                        self.inner
                            .lease(
                                key,
                                &[],
                                token,
                                Duration::from_secs(60),
                                LeaseMode::IfMissing,
                            )
                            .await?;
                    }
                    Ok(())
                }
                _ => self.inner.invalidate(keys).await,
            }
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Stored, ttl: Duration) -> BackendFuture<'a, bool> {
        let ttl = self.ttl(ttl);
        if self.is(Flaw::PutsBesideAWrite) {
            return self.inner.put_if_newer(key, u64::MAX, value, ttl);
        }
        let value = if self.is(Flaw::PutsOldValues) {
            as_new(value)
        } else {
            value
        };
        self.inner.put(key, value, ttl)
    }

    fn end_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> BackendFuture<'a, WriteEnd> {
        let value = match value {
            Some((value, ttl)) if self.is(Flaw::WritesOldValues) => Some((as_new(value), ttl)),
            value => value,
        };
        Box::pin(async move {
            let end = self.inner.end_write(key, token, value.clone()).await?;
            if let (true, Some((value, ttl))) = (self.is(Flaw::StoresAnOverlappedWrite), value) {
                self.inner.put(key, value, ttl).await?;
            }
            Ok(end)
        })
    }

    fn put_if_newer<'a>(
        &'a self,
        key: &'a Key,
        version: u64,
        value: Stored,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        match self.flaw {
            Flaw::ForgetsTheFence => self.inner.put(key, value, ttl),
            Flaw::KeepsWhatAnOldVersionOvertook => Box::pin(async move {
                let stored = self.inner.put_if_newer(key, version, value.clone(), ttl);
                let stored = stored.await?;
                if !stored {
                    self.inner.put(key, as_new(value), ttl).await?;
                }
                Ok(stored)
            }),
            _ => self.inner.put_if_newer(key, version, value, ttl),
        }
    }

    fn invalidate_tags<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, ()> {
        match self.flaw {
            Flaw::KeepsWhatHasATag => Box::pin(async { Ok(()) }),
            Flaw::InvalidatesTheFirstTagOnly => {
                self.inner.invalidate_tags(&tags[..tags.len().min(1)])
            }
            Flaw::InvalidatesEveryTag => self.inner.bump_namespace(),
            _ => self.inner.invalidate_tags(tags),
        }
    }

    fn bump_namespace(&self) -> BackendFuture<'_, ()> {
        if self.is(Flaw::DoesNotBump) {
            Box::pin(async { Ok(()) })
        } else {
            self.inner.bump_namespace()
        }
    }

    fn wait<'a>(&'a self, key: &'a Key, token: Token, patience: Duration) -> BackendFuture<'a, ()> {
        if self.is(Flaw::WaitsForEver) {
            Box::pin(std::future::pending())
        } else {
            self.inner.wait(key, token, patience)
        }
    }

    fn clear(&self) -> BackendFuture<'_, ()> {
        if self.is(Flaw::DoesNotClear) {
            Box::pin(async { Ok(()) })
        } else {
            self.inner.clear()
        }
    }

    fn ping(&self) -> BackendFuture<'_, ()> {
        self.inner.ping()
    }
}

/// Panics of this thread's tasks are what is looked for, one for each flaw: to write each with its backtrace takes a minute and a half.
struct Unreported;

impl Unreported {
    fn from_here() -> Self {
        let (here, report) = (thread::current().id(), panic::take_hook());
        panic::set_hook(Box::new(move |panic| {
            if thread::current().id() != here {
                report(panic);
            }
        }));
        Self
    }
}

impl Drop for Unreported {
    fn drop(&mut self) {
        // The one that was there before is in it.
        drop(panic::take_hook());
    }
}

/// Time stands still for tokio, and jumps when all wait: a case that waits for what never comes fails at once.
#[tokio::test(start_paused = true)]
async fn each_way_to_break_the_contract_fails_a_case() {
    let unreported = Unreported::from_here();
    let mut not_found = Vec::new();
    for flaw in FLAWS {
        let mut found = false;
        for case in conformance::cases() {
            let backend = Flawed {
                inner: Memory::new(),
                flaw,
                last: Mutex::default(),
                born: Mutex::default(),
            };
            found |= tokio::spawn(async move { case.run(Arc::new(backend)).await })
                .await
                .is_err();
            if found {
                break;
            }
        }
        if !found {
            not_found.push(flaw);
        }
    }
    drop(unreported);
    assert!(
        not_found.is_empty(),
        "no case fails a backend that {not_found:?}"
    );
}
