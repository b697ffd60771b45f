//! Builds a cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Cache, Epochs, Inner, Settings};
use crate::backend::{Backend, Memory, MemoryBuilder};
use crate::bus::{Bus, Group};
use crate::clock::Clock;
use crate::codec;
use crate::error::{ConfigError, Error};
use crate::events::options::BusOptions;
use crate::events::{self, Events};
use crate::guard::{Guarded, Limits};
use crate::observe::Functions;
use crate::pattern::contexts::Contexts;
use crate::pattern::read_through::ahead::Ahead;
use crate::pattern::write_behind::options::WriteBehind;
use crate::pattern::write_behind::state::Writes;
use crate::random::Random;
use crate::registry;
use crate::spec::CodecKind;
use crate::stampede::flight::{Loads, Questions};
use crate::stampede::refresh::Refreshes;
use crate::warm::HotKeys;
use crate::warm::access::Accesses;
use crate::warm::hot::Hottest;
use crate::warm::shadow::Recorder;

/// A time to live: a whole number of seconds, or a [`Duration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl(Duration);

impl From<u64> for Ttl {
    fn from(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl From<Duration> for Ttl {
    fn from(span: Duration) -> Self {
        Self(span)
    }
}

/// Sets up a [`Cache`]. Made by [`Cache::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct CacheBuilder {
    store: Store,
    namespace: Option<String>,
    clock: Clock,
    settings: Settings,
    limits: Limits,
    random: Random,
    contexts: Contexts,
    write_behind: WriteBehind,
    bus: Option<events::Plan>,
    bus_options: BusOptions,
    hot_keys: Option<HotKeys>,
    recorder: Option<Recorder>,
}

enum Store {
    Memory(MemoryBuilder),
    #[cfg(feature = "redis")]
    Redis(crate::backend::redis::RedisBuilder),
    Own(Arc<dyn Backend>),
}

impl Default for CacheBuilder {
    fn default() -> Self {
        Self {
            store: Store::Memory(MemoryBuilder::default()),
            namespace: None,
            clock: Clock::system(),
            settings: Settings {
                default_ttl: Duration::from_secs(300),
                codec: codec::default_kind(),
                lease_ttl: Duration::from_secs(5),
                intent_ttl: Duration::from_secs(10),
                loaders: true,
            },
            limits: Limits::default(),
            random: Random::default(),
            contexts: Contexts::default(),
            write_behind: WriteBehind::default(),
            bus: None,
            bus_options: BusOptions::default(),
            hot_keys: None,
            recorder: None,
        }
    }
}

impl CacheBuilder {
    /// Takes the backend from a URL: `memory://` (with `?max_entries=N`), `redis://[user[:password]@]host[:port][/db]`, `rediss://…` (feature
    /// `tls`), `unix:///path/to/socket` (with `?db=N`).
    ///
    /// # Errors
    ///
    /// [`Error::Config`], naming the part of the URL that is wrong. A password in it is never shown.
    pub fn url(mut self, url: &str) -> Result<Self, Error> {
        self.store = if url.starts_with("memory:") {
            Store::Memory(memory_url(url)?)
        } else {
            remote_url(url)?
        };
        Ok(self)
    }

    /// Takes the backend from the variable `CACHE_URL` and the namespace from `CACHE_NAMESPACE`, where they are set and not empty.
    ///
    /// # Errors
    ///
    /// As [`url`](Self::url).
    pub fn env(mut self) -> Result<Self, Error> {
        if let Some(url) = variable("CACHE_URL")? {
            self = self.url(&url)?;
        }
        if let Some(namespace) = variable("CACHE_NAMESPACE")? {
            self = self.namespace(namespace);
        }
        Ok(self)
    }

    /// Sets the backend: a [`Memory`] with other bounds, a [`Redis`](crate::backend::redis::Redis) that is set up already, or one of your own.
    /// The namespace is the backend's own affair then; on a [bus](Self::bus) see to it that the bus has the same. Processes of another namespace would else be given this one's
    /// events, as those of one region, and this one would not hear of them.
    pub fn backend(mut self, backend: impl Backend) -> Self {
        self.store = Store::Own(Arc::new(backend));
        self
    }

    /// Sets the namespace: caches of different namespaces on one Redis server do not see each other's entries. Default `cache`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets the TTL of functions that give none: seconds, or a [`Duration`]. Default 300 s.
    pub fn default_ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.settings.default_ttl = ttl.into().0;
        self
    }

    /// Sets the codec of functions that give none. Default bincode, if it is built in.
    pub fn codec(mut self, codec: CodecKind) -> Self {
        self.settings.codec = Some(codec);
        self
    }

    /// Sets the clock of this cache and, unless it has one of its own, of its in-memory backend.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Sets the most that a call may wait for a backend that does not answer. Default 50 ms.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.limits.operation = timeout;
        self
    }

    /// Sets how many invalidations are kept by key while the backend is away; past it the whole namespace is invalidated on
    /// its return. Default 100,000.
    pub fn max_kept_invalidations(mut self, keys: usize) -> Self {
        self.limits.backlog = keys;
        self
    }

    /// Sets how long a load's lease lives without being renewed: how long others wait after its process was killed.
    /// Default 5 s. A load that takes longer renews it.
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.settings.lease_ttl = ttl;
        self
    }

    /// Sets how long a strict writer's intent lives without being renewed: how long readers bypass the cache after the
    /// writer's process was killed. Default 10 s.
    pub fn intent_ttl(mut self, ttl: Duration) -> Self {
        self.settings.intent_ttl = ttl;
        self
    }

    /// Provides what arguments marked `#[context]` are, of read-through loaders and of write-behind writers: a pool, a client. Of one type the last one given counts. `#[context] db: &Db` and `#[context] db: Db`
    /// both take what was given as a `Db`.
    pub fn provide<T: Send + Sync + 'static>(mut self, context: T) -> Self {
        self.contexts.provide(context);
        self
    }

    /// Sets whether this cache runs read-through loaders by itself: it refreshes entries before they expire, and has to be given every `#[context]` that
    /// a loader of the program needs, apart from those that name their cache (`cache = …`); two such loaders of one template that differ are refused. Without, calls are answered from the cache, and where a load needs a context that is not there they fail with
    /// [`Error::MissingContext`]. Default yes.
    pub fn loaders(mut self, run: bool) -> Self {
        self.settings.loaders = run;
        self
    }

    /// Sets how write-behind writes are retried, and whether this process runs them.
    pub fn write_behind(mut self, options: WriteBehind) -> Self {
        self.write_behind = options;
        self
    }

    /// Tells other regions of every invalidation by the bus, and carries out theirs. `region` names this one: processes that share a store give the
    /// same name, others another. The regions of one application use the same namespace, for their stores and on the bus.
    ///
    /// What is invalidated here is removed there within milliseconds, and later while a region or the bus is away: see [`Stats::bus`](crate::Stats::bus) for the lag. The call
    /// that invalidates does not wait for it. Invalidations that are not on the bus yet when the process dies are lost, and what they would have removed in other regions stays until
    /// its TTL; [`Cache::shutdown`] and [`Cache::flush_events`] wait for them.
    ///
    /// The tasks that send and read belong to the tokio runtime in which the cache is built, and end with the cache.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if `region` is empty, longer than 64, or has other characters than ASCII letters and digits, `-`, `_` and `.`.
    pub fn bus(mut self, bus: impl Bus, region: &str) -> Result<Self, Error> {
        self.bus = Some(events::Plan {
            bus: Arc::new(bus),
            region: Group::of_region(region)?,
        });
        Ok(self)
    }

    /// Sets how long the bus keeps events, and when another process takes over.
    pub fn bus_options(mut self, options: BusOptions) -> Self {
        self.bus_options = options;
        self
    }

    /// Has the cache follow its hottest keys, as many as this or as [`HotKeys`] says: for [`Cache::hottest`], and for warm-ups by it. They are counted by reads of
    /// annotated functions, be they hits or misses.
    pub fn track_hot_keys(mut self, keys: impl Into<HotKeys>) -> Self {
        self.hot_keys = Some(keys.into());
        self
    }

    /// Has the cache keep a log of what is read, for a [replay](crate::warm::shadow) on another cache. It is recorded by reads of annotated functions, be they hits or
    /// misses.
    pub fn record(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Sets where the draws of `stampede = "early"` and of `jitter` begin, for a test that is to repeat: with one seed, and calls in one order,
    /// they are always the same.
    #[cfg(feature = "testing")]
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random::seeded(seed);
        self
    }

    /// Builds the cache. A server that is away does not keep it from being built: it is connected to when it comes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a setting cannot be used, if the bus has another namespace than the cache on Redis, if a read-through loader of the program needs a `#[context]` that was not [provided](Self::provide), or if two
    /// of them claim one template with values or TTLs that differ.
    pub async fn build(mut self) -> Result<Cache, Error> {
        self.check()?;
        registry::check(&self.contexts, &self.settings)?;
        let recording = match &self.recorder {
            Some(recorder) => Some(recorder.start(&self.clock).await?),
            None => None,
        };
        let accesses = Accesses::new(self.hot_keys.as_ref().map(Hottest::new), recording);
        let backend = self.connect().await?;
        let cache = self.assemble(backend, accesses);
        cache.inner.writes.check(&cache.inner.guarded)?;
        if let Some(events) = &cache.inner.events {
            events.start(&cache.inner).await;
        }
        cache.inner.writes.start(&cache.inner);
        Ok(cache)
    }

    /// The cache of a process that installed none: its settings are known to be good and it connects to nothing.
    pub(super) fn in_memory(self) -> Cache {
        self.assemble(Arc::new(Memory::new()), None)
    }

    async fn connect(&mut self) -> Result<Arc<dyn Backend>, Error> {
        let store = std::mem::replace(&mut self.store, Store::Memory(MemoryBuilder::default()));
        Ok(match store {
            Store::Memory(memory) => Arc::new(memory.clock(self.clock.clone()).build()?),
            #[cfg(feature = "redis")]
            Store::Redis(redis) => {
                let redis = match self.namespace.take() {
                    Some(namespace) => redis.namespace(namespace),
                    None => redis,
                };
                Arc::new(redis.connect().await?)
            }
            Store::Own(backend) => backend,
        })
    }

    fn assemble(self, backend: Arc<dyn Backend>, accesses: Option<Accesses>) -> Cache {
        let guarded = Guarded::new(backend, self.limits);
        let events = self
            .bus
            .map(|plan| Events::new(plan, self.bus_options, &guarded, self.clock.clone()));
        let contexts = self.contexts;
        let lease_ttl = self.settings.lease_ttl;
        let inner = Inner {
            writes: Writes::new(&guarded, self.write_behind, contexts.clone(), lease_ttl),
            contexts,
            guarded,
            ahead: Ahead::new(&self.clock),
            clock: self.clock,
            loads: Loads::new(),
            questions: Questions::new(),
            refreshes: Refreshes::new(),
            random: self.random,
            functions: Functions::default(),
            epochs: Epochs::new(),
            settings: self.settings,
            events,
            accesses,
        };
        Cache {
            inner: Arc::new(inner),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let positive = [
            ("default_ttl", self.settings.default_ttl),
            ("lease_ttl", self.settings.lease_ttl),
            ("intent_ttl", self.settings.intent_ttl),
            ("operation_timeout", self.limits.operation),
            ("log_timeout", self.write_behind.log_timeout),
            ("attempt_timeout", self.write_behind.attempt_timeout),
        ];
        for (name, span) in positive {
            if span < Duration::from_millis(1) {
                return Err(ConfigError::new(name, "must be at least 1 ms").into());
            }
        }
        if let Some(hot_keys) = &self.hot_keys {
            hot_keys.check()?;
        }
        if let Some(recorder) = &self.recorder {
            recorder.check()?;
        }
        if let Some(codec) = self.settings.codec {
            codec::is_built(codec)?;
        }
        self.check_namespaces()?;
        Ok(self.bus_options.check()?)
    }

    /// Of those who share the bus's namespace and a region each event goes to one: it has to be one with the same store.
    #[cfg(feature = "redis")]
    fn check_namespaces(&self) -> Result<(), ConfigError> {
        let (Some(plan), Store::Redis(redis)) = (&self.bus, &self.store) else {
            return Ok(());
        };
        let own = self.namespace.as_deref().unwrap_or(redis.namespace_name());
        match plan.bus.namespace() {
            Some(of_bus) if of_bus != own => Err(ConfigError::new(
                "namespace of the bus",
                format!(
                    "is `{of_bus}` and that of the cache is `{own}`: caches of different namespaces would take each other's events; give `{own}` to the builder of the bus, or `{of_bus}` to that of the cache, with `namespace`"
                ),
            )),
            _ => Ok(()),
        }
    }

    #[cfg(not(feature = "redis"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn check_namespaces(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

fn variable(name: &'static str) -> Result<Option<String>, ConfigError> {
    match std::env::var(name) {
        // `CACHE_URL= program` is how a shell unsets a variable for one command.
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(ConfigError::new(name, "is not UTF-8")),
    }
}

/// `memory://` or `memory://?max_entries=N`.
fn memory_url(url: &str) -> Result<MemoryBuilder, ConfigError> {
    let place = "memory URL";
    let usage = "write `memory://` or `memory://?max_entries=50000`";
    let rest = url
        .strip_prefix("memory://")
        .ok_or_else(|| ConfigError::new(place, usage))?;
    let builder = Memory::builder();
    match rest.strip_prefix('?').map(|query| query.split_once('=')) {
        None if rest.is_empty() => Ok(builder),
        Some(Some(("max_entries", number))) => match number.parse() {
            Ok(entries) if entries > 0 => Ok(builder.max_entries(entries)),
            _ => Err(ConfigError::new(
                "`max_entries` of the memory URL",
                "must be a whole number of at least 1",
            )),
        },
        _ => Err(ConfigError::new(place, usage)),
    }
}

#[cfg(feature = "redis")]
fn remote_url(url: &str) -> Result<Store, ConfigError> {
    Ok(Store::Redis(crate::backend::redis::Redis::from_url(url)?))
}

#[cfg(not(feature = "redis"))]
fn remote_url(_: &str) -> Result<Store, ConfigError> {
    Err(ConfigError::new(
        "scheme of the cache URL",
        "only `memory://` is built in: turn on the feature `redis` of cache-runtime for `redis://`, `rediss://` and `unix://`",
    ))
}

impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("namespace", &self.namespace)
            .field("settings", &self.settings)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
