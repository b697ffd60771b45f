//! What can go wrong, and what the process then ends with.

use std::process::ExitCode;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What the user gave cannot be used.
    #[error("{0}")]
    Input(String),
    #[error("cache: {0}")]
    Cache(#[from] cache_runtime::Error),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
}

impl Failure {
    /// 2 if the user can mend it by giving something else, as shells and most tools have it; else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Input(_) | Self::Cache(cache_runtime::Error::Config(_)) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
