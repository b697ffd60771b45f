//! What an annotation says, as data: the static description that the macros write and everything else reads.

mod queueing;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub use queueing::{Queueing, WhenFull};

/// Which of the four patterns a function follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// Cache-aside: hit, or load, store and return. Writers invalidate.
    Aside,
    /// Read-through: as cache-aside, by a loader that the cache knows and can run by itself.
    ReadThrough,
    /// Write-through: the writer's body, then what it wrote into the cache.
    WriteThrough,
    /// Write-behind: into a log and the cache, then to the caller; the writer's body later, by a worker.
    WriteBehind,
}

impl Pattern {
    /// The name that `pattern = "…"` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aside => "aside",
            Self::ReadThrough => "read-through",
            Self::WriteThrough => "write-through",
            Self::WriteBehind => "write-behind",
        }
    }
}

/// How far a cached function goes to keep an old value from being stored or served.
///
/// What can still be stale in the worst case:
///
/// | level | stale | for how long |
/// | --- | --- | --- |
/// | `Eventual` | a load that began before an invalidation may store its value after it | until the TTL |
/// | `Fenced` | only if a process or server is lost between the commit and the invalidation | until the TTL, or until the retry queue delivers it |
/// | `Strict` | nothing while the server keeps what it acknowledged | after a crash readers bypass the cache until the intent expires |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Consistency {
    /// A fill stores unconditionally and callers join a load by key alone.
    Eventual,
    /// A fill stores only under the lease that its load took, and an invalidation ends every lease. The default.
    #[default]
    Fenced,
    /// As `Fenced`; writers announce themselves before their body runs and readers load for themselves meanwhile.
    Strict,
}

/// What calls do when others want the same key at the same time, and when its entry grows old. Modes are joined with [`and`](Self::and).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stampede(u8);

impl Stampede {
    /// Every miss loads for itself.
    pub const NONE: Self = Self(0);
    /// One load at a time: in the process by a flight that every waiter joins, across processes by the lease.
    pub const LOCK: Self = Self(1);
    /// A hit may load anew before the entry expires, the likelier the closer that is (XFetch). Together with [`LOCK`](Self::LOCK) one of
    /// those that would do so does.
    pub const EARLY: Self = Self(2);
    /// Past its soft TTL the entry is served as it is while one load in the background replaces it.
    pub const SWR: Self = Self(4);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether callers that find no value load one at a time: in every mode but [`NONE`](Self::NONE).
    #[must_use]
    pub const fn shares_misses(self) -> bool {
        self.0 != 0
    }

    /// Whether of several early loads only one is done.
    #[must_use]
    pub const fn locks(self) -> bool {
        self.0 & Self::LOCK.0 != 0
    }

    /// Whether hits may load early.
    #[must_use]
    pub const fn is_early(self) -> bool {
        self.0 & Self::EARLY.0 != 0
    }

    /// Whether entries past their soft TTL are served while they are replaced.
    #[must_use]
    pub const fn is_swr(self) -> bool {
        self.0 & Self::SWR.0 != 0
    }

    /// Whether a hit is always the end of it.
    const fn hits_are_final(self) -> bool {
        self.0 & (Self::EARLY.0 | Self::SWR.0) == 0
    }
}

impl Default for Stampede {
    fn default() -> Self {
        Self::LOCK
    }
}

/// How the bytes of a remote entry are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodecKind {
    /// bincode 2.0.1, standard configuration. Needs the feature `bincode`.
    Bincode,
    /// postcard 1. Needs the feature `postcard`.
    Postcard,
    /// MessagePack with named fields. Needs the feature `msgpack`.
    MsgPack,
    /// JSON. Needs the feature `json`.
    Json,
}

impl CodecKind {
    /// The name that `codec = "…"` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bincode => "bincode",
            Self::Postcard => "postcard",
            Self::MsgPack => "msgpack",
            Self::Json => "json",
        }
    }
}

/// Everything that an annotation says of a function, known at compile time.
///
/// The macros make one for each annotated function; a free function shows its own as `load_user::SPEC`.
#[derive(Debug)]
pub struct Spec {
    name: &'static str,
    module: &'static str,
    file: &'static str,
    line: u32,
    template: &'static str,
    pattern: Pattern,
    ttl: Option<Duration>,
    ttl_of_value: bool,
    stampede: Stampede,
    consistency: Consistency,
    codec: Option<CodecKind>,
    schema: u32,
    jitter: f64,
    refresh_after: Option<Duration>,
    beta: f64,
    stale_if_error: Duration,
    negative_ttl: Option<Duration>,
    timeout: Option<Duration>,
    queueing: Queueing,
    /// Whether a hit within the TTL is always the end of it.
    hits_are_final: bool,
    tags: &'static [&'static str],
    tags_of_result: bool,
    has_own_cache: bool,
    id: FunctionId,
}

impl Spec {
    /// A description with every argument at its default. `template` is the key template as the user wrote it,
    /// or for a default key the function's path and argument names.
    #[must_use]
    pub const fn new(
        name: &'static str,
        module: &'static str,
        file: &'static str,
        line: u32,
        template: &'static str,
    ) -> Self {
        Self {
            name,
            module,
            file,
            line,
            template,
            pattern: Pattern::Aside,
            ttl: None,
            ttl_of_value: false,
            stampede: Stampede::LOCK,
            consistency: Consistency::Fenced,
            codec: None,
            schema: 0,
            jitter: 0.0,
            refresh_after: None,
            beta: 1.0,
            stale_if_error: Duration::ZERO,
            negative_ttl: None,
            timeout: None,
            queueing: Queueing::new(),
            hits_are_final: true,
            tags: &[],
            tags_of_result: false,
            has_own_cache: false,
            id: FunctionId::unset(),
        }
    }

    /// Sets the pattern.
    #[must_use]
    pub const fn pattern_of(mut self, pattern: Pattern) -> Self {
        self.pattern = pattern;
        self.settled()
    }

    /// Sets how write-behind writes are kept and flushed.
    #[must_use]
    pub const fn queueing(mut self, queueing: Queueing) -> Self {
        self.queueing = queueing;
        self
    }

    /// Sets the TTL, in milliseconds.
    #[must_use]
    pub const fn ttl_ms(mut self, ms: u64) -> Self {
        self.ttl = Some(Duration::from_millis(ms));
        self
    }

    /// Says that the TTL comes from the value.
    #[must_use]
    pub const fn ttl_of_value(mut self) -> Self {
        self.ttl_of_value = true;
        self
    }

    /// Sets the stampede mode.
    #[must_use]
    pub const fn stampede(mut self, mode: Stampede) -> Self {
        self.stampede = mode;
        self.settled()
    }

    /// Sets the consistency level.
    #[must_use]
    pub const fn consistency(mut self, level: Consistency) -> Self {
        self.consistency = level;
        self
    }

    /// Sets the codec of remote entries.
    #[must_use]
    pub const fn codec(mut self, codec: CodecKind) -> Self {
        self.codec = Some(codec);
        self
    }

    /// Sets the schema number, which is part of each remote entry's fingerprint.
    #[must_use]
    pub const fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// Sets by what part of itself a TTL may be shorter, from 0 to 1.
    #[must_use]
    pub const fn jitter(mut self, share: f64) -> Self {
        self.jitter = share;
        self
    }

    /// Sets the soft TTL, in milliseconds.
    #[must_use]
    pub const fn refresh_after_ms(mut self, ms: u64) -> Self {
        self.refresh_after = Some(Duration::from_millis(ms));
        self.settled()
    }

    /// Sets how eager `early` is: its mean number of loads a generation is e^(1/beta).
    #[must_use]
    pub const fn beta(mut self, beta: f64) -> Self {
        self.beta = beta;
        self
    }

    /// Sets how long past its TTL a value may still be served when its load fails, in milliseconds.
    #[must_use]
    pub const fn stale_if_error_ms(mut self, ms: u64) -> Self {
        self.stale_if_error = Duration::from_millis(ms);
        self
    }

    /// Sets the TTL of `None`, in milliseconds.
    #[must_use]
    pub const fn negative_ttl_ms(mut self, ms: u64) -> Self {
        self.negative_ttl = Some(Duration::from_millis(ms));
        self
    }

    /// Sets how long a call waits for a load, in milliseconds.
    #[must_use]
    pub const fn timeout_ms(mut self, ms: u64) -> Self {
        self.timeout = Some(Duration::from_millis(ms));
        self
    }

    /// Sets the templates of its entries' tags, as written, and whether any of them reads the result.
    #[must_use]
    pub const fn tags(mut self, templates: &'static [&'static str], of_result: bool) -> Self {
        self.tags = templates;
        self.tags_of_result = of_result;
        self
    }

    /// Says that the annotation names a cache.
    #[must_use]
    pub const fn own_cache(mut self) -> Self {
        self.has_own_cache = true;
        self
    }

    /// The function's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The module path of the function.
    #[must_use]
    pub const fn module(&self) -> &'static str {
        self.module
    }

    /// The source file of the annotation.
    #[must_use]
    pub const fn file(&self) -> &'static str {
        self.file
    }

    /// The line of the annotation.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// The key template, as written.
    #[must_use]
    pub const fn template(&self) -> &'static str {
        self.template
    }

    /// The pattern.
    #[must_use]
    pub const fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// Whether the annotation names a cache (`cache = …`), so that calls may be on another one than those of other functions.
    #[must_use]
    pub const fn has_own_cache(&self) -> bool {
        self.has_own_cache
    }

    /// The TTL, or `None` for the cache's default.
    #[must_use]
    pub const fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// Whether the TTL comes from the value (`ttl_with`).
    #[must_use]
    pub const fn has_ttl_of_value(&self) -> bool {
        self.ttl_of_value
    }

    /// The TTL of entries whose value says nothing of it; `None` if each value says so.
    pub(crate) fn own_ttl(&self, default: Duration) -> Option<Duration> {
        (!self.ttl_of_value).then(|| self.ttl.unwrap_or(default))
    }

    /// The stampede mode.
    #[must_use]
    pub const fn stampede_mode(&self) -> Stampede {
        self.stampede
    }

    /// The consistency level.
    #[must_use]
    pub const fn consistency_level(&self) -> Consistency {
        self.consistency
    }

    /// The codec, or `None` for the cache's default.
    #[must_use]
    pub const fn codec_kind(&self) -> Option<CodecKind> {
        self.codec
    }

    /// The schema number.
    #[must_use]
    pub const fn schema_number(&self) -> u32 {
        self.schema
    }

    /// By what part of itself a TTL may be shorter, from 0 to 1.
    #[must_use]
    pub const fn jitter_share(&self) -> f64 {
        self.jitter
    }

    /// The soft TTL.
    #[must_use]
    pub const fn refresh_after(&self) -> Option<Duration> {
        self.refresh_after
    }

    /// How eager `early` is.
    #[must_use]
    pub const fn beta_factor(&self) -> f64 {
        self.beta
    }

    /// How long past its TTL a value may still be served when its load fails.
    #[must_use]
    pub const fn stale_if_error(&self) -> Duration {
        self.stale_if_error
    }

    /// The TTL of `None`; `None` if it is not stored.
    #[must_use]
    pub const fn negative_ttl(&self) -> Option<Duration> {
        self.negative_ttl
    }

    /// How long a call waits for a load.
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// How write-behind writes are kept and flushed; says something of write-behind writers only.
    #[must_use]
    pub const fn write_queueing(&self) -> &Queueing {
        &self.queueing
    }

    /// Whether its entries are replaced before they expire, without a caller.
    #[must_use]
    pub const fn refreshes_ahead(&self) -> bool {
        matches!(self.pattern, Pattern::ReadThrough) && self.refresh_after.is_some()
    }

    /// Whether a hit within the TTL is always the end of it.
    #[inline]
    pub(crate) const fn hits_are_final(&self) -> bool {
        self.hits_are_final
    }

    const fn settled(mut self) -> Self {
        self.hits_are_final = self.stampede.hits_are_final() && !self.refreshes_ahead();
        self
    }

    /// The templates of its entries' tags, as written.
    #[must_use]
    pub const fn tag_templates(&self) -> &'static [&'static str] {
        self.tags
    }

    pub(crate) fn has_tags_of_result(&self) -> bool {
        self.tags_of_result
    }

    pub(crate) fn id(&self) -> usize {
        self.id.get()
    }
}

/// A small dense number for each annotated function of the process, given at its first use,
/// so that a cache finds a function's counters by an index rather than by a lookup.
#[derive(Debug)]
struct FunctionId(AtomicU32);

impl FunctionId {
    const fn unset() -> Self {
        Self(AtomicU32::new(0))
    }

    fn get(&self) -> usize {
        match self.0.load(Ordering::Relaxed) {
            0 => self.assign(),
            id => id as usize - 1,
        }
    }

    #[cold]
    fn assign(&self) -> usize {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let fresh = NEXT.fetch_add(1, Ordering::Relaxed);
        match self
            .0
            .compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed)
        {
            Ok(_) => fresh as usize - 1,
            Err(first) => first as usize - 1,
        }
    }
}

/// What `#[invalidates]` says of a function, known at compile time.
#[derive(Debug)]
pub struct WriterSpec {
    name: &'static str,
    module: &'static str,
    file: &'static str,
    line: u32,
    templates: &'static [&'static str],
    tags: &'static [&'static str],
    only_ok: bool,
    consistency: Consistency,
}

impl WriterSpec {
    /// A description with every argument at its default.
    #[must_use]
    pub const fn new(
        name: &'static str,
        module: &'static str,
        file: &'static str,
        line: u32,
        templates: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            module,
            file,
            line,
            templates,
            tags: &[],
            only_ok: false,
            consistency: Consistency::Fenced,
        }
    }

    /// Sets the templates of the tags that it invalidates, as written.
    #[must_use]
    pub const fn tags(mut self, templates: &'static [&'static str]) -> Self {
        self.tags = templates;
        self
    }

    /// Limits the invalidation to calls that return `Ok` (or, for other return types, that return at all).
    #[must_use]
    pub const fn only_ok(mut self) -> Self {
        self.only_ok = true;
        self
    }

    /// Sets the consistency level.
    #[must_use]
    pub const fn consistency(mut self, level: Consistency) -> Self {
        self.consistency = level;
        self
    }

    /// The function's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The module path of the function.
    #[must_use]
    pub const fn module(&self) -> &'static str {
        self.module
    }

    /// The source file of the annotation.
    #[must_use]
    pub const fn file(&self) -> &'static str {
        self.file
    }

    /// The line of the annotation.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// The templates, as written.
    #[must_use]
    pub const fn templates(&self) -> &'static [&'static str] {
        self.templates
    }

    /// The templates of the tags that it invalidates, as written.
    #[must_use]
    pub const fn tag_templates(&self) -> &'static [&'static str] {
        self.tags
    }

    /// Whether only successful calls invalidate.
    #[must_use]
    pub const fn is_only_ok(&self) -> bool {
        self.only_ok
    }

    /// The consistency level.
    #[must_use]
    pub const fn consistency_level(&self) -> Consistency {
        self.consistency
    }
}
