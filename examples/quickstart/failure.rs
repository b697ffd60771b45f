//! What can go wrong, and what the process then ends with.

use std::io;
use std::process::ExitCode;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}; --help lists the options")]
    Arguments(#[from] lexopt::Error),
    #[error("trace {file}: {error}")]
    Trace { file: String, error: io::Error },
    #[error(transparent)]
    Cache(#[from] cache_runtime::Error),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Report(#[from] serde_json::Error),
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
}

impl Failure {
    /// 2 if the user can mend it by giving something else, as shells and most tools have it; else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Arguments(_)
            | Self::Trace { .. }
            | Self::Cache(cache_runtime::Error::Config(_)) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
