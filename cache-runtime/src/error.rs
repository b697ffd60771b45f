//! What can go wrong, and for whom: [`Error`] is what an application sees, [`BackendError`] what a backend says.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use crate::registry::{GetError, LoadFailure};
use crate::warm::FileError;

/// An error of the cache itself.
///
/// A cached function never returns one of these on its own account: reads fail open. They come from building a cache, from
/// the calls on [`Cache`](crate::Cache), from writers that asked for `consistency = "strict"` and from loaders that asked for a `timeout`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used: a URL, an environment variable or a builder's setting. The text names the part
    /// that is wrong and never holds a password.
    Config(ConfigError),
    /// A cache was installed in this process before.
    AlreadyInstalled,
    /// A strict write was refused before its body ran, because readers could not be told of it.
    Refused(BackendError),
    /// The backend is away: the invalidation is kept, to be delivered on its return.
    Kept(BackendError),
    /// The backend could not do what was asked.
    Backend(BackendError),
    /// The value cannot be stored by the codec.
    Codec(CodecError),
    /// A cached function with `timeout` did not get its result in that time, and had no older value to return. The load goes on.
    Timeout(Duration),
    /// A write-behind write was not acknowledged by the log. Where the backend gave no answer in time it may be there all the same.
    NotLogged(BackendError),
    /// A write-behind writer with `when_full = "error"` has this many writes pending.
    LogFull(u64),
    /// The cache has been shut down, and takes no more write-behind writes.
    ShutDown,
    /// So many keys' invalidations could not be published on the bus in time. They are published when it is back.
    Unpublished(u64),
    /// A file of a warm-up could not be read or written.
    File(FileError),
    /// A read-through loader had to run, and the cache it ran on has no value for an argument marked `#[context]`.
    MissingContext {
        /// The loader's name.
        function: &'static str,
        /// The type of the context.
        context: &'static str,
    },
    /// [`Cache::get`](crate::Cache::get) has no value to return.
    Get(Box<GetError>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::AlreadyInstalled => f.write_str("a cache is already installed in this process"),
            Self::Refused(error) => {
                write!(f, "strict write refused, its body did not run: {error}")
            }
            Self::Kept(error) => write!(f, "invalidation kept until the backend is back: {error}"),
            Self::Backend(error) => write!(f, "cache backend: {error}"),
            Self::Codec(error) => error.fmt(f),
            Self::Timeout(limit) => write!(
                f,
                "the load took longer than its {limit:?}; it goes on in the background"
            ),
            Self::NotLogged(error) => write!(f, "write not acknowledged by the log: {error}"),
            Self::LogFull(pending) => write!(
                f,
                "write refused, as {pending} writes of the function are pending already"
            ),
            Self::ShutDown => f.write_str("write refused, as the cache has been shut down"),
            Self::Unpublished(keys) => write!(
                f,
                "the invalidations of {keys} keys are not on the bus yet; they are published when it is back"
            ),
            Self::File(error) => error.fmt(f),
            Self::MissingContext { function, context } => write!(
                f,
                "`{function}` needs `{context}` to load, and this cache was not given it: use `Cache::builder().provide(…)`"
            ),
            Self::Get(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(error)
            | Self::Kept(error)
            | Self::Backend(error)
            | Self::NotLogged(error) => Some(error),
            Self::Config(error) => Some(error),
            Self::Codec(error) => Some(error),
            Self::File(error) => Some(error),
            Self::Get(error) => error.source(),
            Self::AlreadyInstalled
            | Self::Timeout(_)
            | Self::LogFull(_)
            | Self::ShutDown
            | Self::Unpublished(_)
            | Self::MissingContext { .. } => None,
        }
    }
}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl From<GetError> for Error {
    fn from(error: GetError) -> Self {
        match error {
            GetError::OfCache(error) => error,
            error => Self::Get(Box::new(error)),
        }
    }
}

/// A setting that cannot be used: which one, why, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    place: Cow<'static, str>,
    problem: Cow<'static, str>,
}

impl ConfigError {
    /// `place` names the part that is wrong ("port of the Redis URL"), `problem` says why and what to do.
    pub fn new(place: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self {
            place: place.into(),
            problem: problem.into(),
        }
    }

    /// The part that is wrong.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// What kind of trouble a backend is in: the circuit breaker decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendErrorKind {
    /// No answer within the time budget.
    Timeout,
    /// There is no connection, or it broke.
    Unavailable,
    /// The backend answered, and refused: wrong type under a key, out of memory, no permission.
    Rejected,
}

/// What a backend says when it cannot do an operation.
#[derive(Debug, Clone)]
pub struct BackendError {
    kind: BackendErrorKind,
    detail: Cow<'static, str>,
}

impl BackendError {
    /// `detail` must hold no secret: it goes to logs.
    pub fn new(kind: BackendErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    pub(crate) fn late() -> Self {
        Self::new(
            BackendErrorKind::Timeout,
            "the time that a call may spend on it is over",
        )
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> BackendErrorKind {
        self.kind
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            BackendErrorKind::Timeout => "no answer in time",
            BackendErrorKind::Unavailable => "unavailable",
            BackendErrorKind::Rejected => "refused",
        };
        write!(f, "{kind}: {}", self.detail)
    }
}

impl std::error::Error for BackendError {}

/// A value that a codec could not write or read.
#[derive(Debug, Clone)]
pub struct CodecError {
    codec: &'static str,
    detail: Cow<'static, str>,
}

impl CodecError {
    /// An error of the named codec.
    pub fn new(codec: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            codec,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "codec `{}`: {}", self.codec, self.detail)
    }
}

impl std::error::Error for CodecError {}
