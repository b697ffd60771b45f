//! What Redis and the client library say when something fails, as a [`BackendError`] without secrets.

use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind, Value};

use crate::error::{BackendError, BackendErrorKind};

/// What a server's error means for the connection on which it came.
pub(super) fn is_of_another_role(error: &ServerError) -> bool {
    matches!(
        error.kind(),
        Some(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    )
}

/// An error that the server answered to a command.
pub(super) fn answered(error: &ServerError) -> BackendError {
    let kind = match error.kind() {
        Some(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::TryAgain,
        ) => BackendErrorKind::Unavailable,
        _ if matches!(error.code(), "BUSY" | "UNKILLABLE") => BackendErrorKind::Unavailable,
        _ => BackendErrorKind::Rejected,
    };
    BackendError::new(kind, explain(error.code(), error.details()))
}

/// An error of the connection itself.
pub(super) fn broken(error: &RedisError) -> BackendError {
    if error.is_timeout() {
        return BackendError::new(BackendErrorKind::Timeout, "Redis did not answer in time");
    }
    match error.kind() {
        ErrorKind::Io => BackendError::new(
            BackendErrorKind::Unavailable,
            format!("connection to Redis: {error}"),
        ),
        ErrorKind::Server(_) | ErrorKind::Extension => BackendError::new(
            BackendErrorKind::Rejected,
            explain(error.code().unwrap_or("ERR"), error.detail()),
        ),
        ErrorKind::Parse => BackendError::new(
            BackendErrorKind::Unavailable,
            "Redis sent what is not its protocol",
        ),
        _ => BackendError::new(
            BackendErrorKind::Unavailable,
            format!("connection to Redis: {}", error.category()),
        ),
    }
}

/// Why a connection could not be made.
#[derive(Debug)]
pub(super) struct ConnectFailure {
    pub(super) reason: String,
    /// It will not go away by waiting: somebody has to change a password, a role or a server.
    pub(super) needs_attention: bool,
}

/// Here the server's own words are never repeated: a server that does not know `HELLO` may echo the whole login.
pub(super) fn connecting(error: &RedisError) -> ConnectFailure {
    let (reason, needs_attention) = match (error.kind(), error.code()) {
        (ErrorKind::RESP3NotSupported, _) | (_, Some("NOPROTO")) => (TOO_OLD.into(), true),
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
            ("the server refused user or password".into(), true)
        }
        (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => {
            ("the server is loading its data".into(), false)
        }
        (ErrorKind::Io, _) if error.is_timeout() => ("no answer in time".into(), false),
        (ErrorKind::Io, _) => (error.to_string(), false),
        (ErrorKind::Server(_) | ErrorKind::Extension, code) => {
            let detail = error.detail().unwrap_or_default();
            match REFUSALS.iter().find(|(words, ..)| detail.contains(words)) {
                Some((_, reason, needs_attention)) => ((*reason).into(), *needs_attention),
                None => (
                    format!("the server answered {} to the login", code.unwrap_or("ERR")),
                    true,
                ),
            }
        }
        (ErrorKind::InvalidClientConfig, _) => {
            ("host name or TLS settings cannot be used".into(), true)
        }
        _ => (error.category().to_owned(), false),
    };
    ConnectFailure {
        reason,
        needs_attention,
    }
}

/// Checks what a new connection answers to `PING`.
pub(super) fn greeting(reply: &Value) -> Result<(), ConnectFailure> {
    match reply {
        Value::SimpleString(pong) if pong == "PONG" => Ok(()),
        // It may load its data for long; commands say so meanwhile.
        Value::ServerError(error) if error.kind() == Some(ServerErrorKind::BusyLoading) => Ok(()),
        Value::ServerError(error) => Err(connecting(&error.clone().into())),
        // Not Redis; or ourselves: a port without a listener that is also the source port of the attempt connects to itself.
        _ => Err(ConnectFailure {
            reason: "what listens there is not Redis".into(),
            needs_attention: false,
        }),
    }
}

const TOO_OLD: &str = "the server does not know HELLO 3: it is older than Redis 6";

/// Words of a server's refusal, what they mean, and whether somebody has to do something about it.
const REFUSALS: [(&str, &str, bool); 4] = [
    ("unknown command", TOO_OLD, true),
    (
        "without any password configured",
        "the server has no password, but the URL gives one",
        true,
    ),
    (
        "DB index is out of range",
        "the server has no database of that number",
        true,
    ),
    (
        "max number of clients",
        "the server has no room for another client",
        false,
    ),
];

/// The code with the server's text, but not where that text may name the user.
fn explain(code: &str, details: Option<&str>) -> String {
    match (code, details) {
        ("NOPERM", _) => {
            "NOPERM: the user may not run a command or touch a key or channel that the cache needs"
                .into()
        }
        ("WRONGPASS" | "NOAUTH", _) | (_, None) => code.into(),
        (_, Some(details)) => format!("{code}: {details}"),
    }
}

#[cfg(test)]
mod tests {
    use super::explain;

    #[test]
    fn a_refusal_that_may_name_the_user_is_not_repeated() {
        for code in ["NOPERM", "WRONGPASS", "NOAUTH"] {
            assert!(!explain(code, Some("User berta has no permissions")).contains("berta"));
        }
        assert_eq!(
            explain("OOM", Some("command not allowed")),
            "OOM: command not allowed"
        );
    }
}
