//! How work of the server fails, whoever asked for it: a request, a task or the server itself. It knows no
//! transport; `http/problem.rs` says what a client is told.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure it is, for whoever has to act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The input cannot be understood.
    Malformed,
    /// The caller brings no credentials.
    NoCredentials,
    /// The caller's credentials are not accepted; the message says which check failed.
    InvalidCredentials,
    /// The caller is known and lacks a scope.
    MissingScope(String),
    /// The caller is known and may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The push is unknown or over: its client begins again.
    PushGone,
    /// It contradicts the present state.
    Conflict {
        /// Objects that have not arrived: `nar PATH`, `listing PATH` or `log DRV`.
        missing: Option<Vec<String>>,
    },
    /// It is more than the server takes at once.
    TooLarge,
    /// The input is well-formed and wrong.
    Invalid,
    /// There is too much of it at once, or it comes too often.
    TooMany {
        /// Seconds after which it may be tried again.
        retry_after: u32,
    },
    /// The database, the object store or somebody else's work does not let it happen now.
    Unavailable {
        /// Seconds after which it may be tried again.
        retry_after: u32,
    },
    /// The object store knows the server and does not allow it something: somebody has to change a policy.
    StoreRefuses,
    /// The server has a defect.
    Internal,
}

/// A failure: what the caller is told, and what only the log is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    field: Option<String>,
    /// For the log alone.
    #[serde(skip)]
    cause: Option<String>,
}

impl Error {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            field: None,
            cause: None,
        }
    }

    /// The input cannot be understood.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    /// The caller brings no credentials.
    pub fn no_credentials(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NoCredentials, message)
    }

    /// The caller's credentials are not accepted; `why` says which check failed, and holds no secret.
    pub fn invalid_credentials(why: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidCredentials, why)
    }

    /// The caller is known and lacks a scope.
    pub fn missing_scope(scope: impl fmt::Display, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::MissingScope(scope.to_string()), message)
    }

    /// The caller is known and may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// There is no such push, or not any more: its client begins again.
    pub fn push_gone(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::PushGone, message)
    }

    /// It contradicts the present state.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict { missing: None }, message)
    }

    /// Objects have not arrived: `nar PATH`, `listing PATH` or `log DRV`.
    pub fn missing(message: impl Into<String>, objects: Vec<String>) -> Self {
        let missing = Some(objects);
        Self::new(ErrorKind::Conflict { missing }, message)
    }

    /// It is more than the server takes at once.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }

    /// The input is well-formed and wrong: which field of it, and why.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message).with_field(field)
    }

    /// There is too much of it at once, or it comes too often; after so many seconds it may be tried again.
    pub fn too_many(message: impl Into<String>, retry_after: u32) -> Self {
        Self::new(ErrorKind::TooMany { retry_after }, message)
    }

    /// It cannot happen now; after so many seconds it may be tried again.
    pub fn unavailable(message: impl Into<String>, retry_after: u32) -> Self {
        Self::new(ErrorKind::Unavailable { retry_after }, message)
    }

    /// The object store does not allow something that is needed: which operation, on which keys, by which permission.
    pub fn store_refuses(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::StoreRefuses, message)
    }

    /// The server has a defect; only the log is told which.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::Internal,
            "the server failed; its log has this request id",
        )
        .with_cause(cause)
    }

    /// Names the field of the input that is wrong.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Tells the log what is behind it.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The field of the input that is wrong.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// What the log is told besides.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// What the caller is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What happened, for the log and for those who may read it.
    #[must_use]
    pub fn text(&self) -> &str {
        self.cause().unwrap_or(&self.message)
    }

    /// As JSON, for those who wait for the same work: what the caller is told, without what the log is told.
    #[must_use]
    pub fn to_stored(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Out of what [`Error::to_stored`] wrote.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        serde_json::from_str(text)
            .unwrap_or_else(|error| Self::internal(format!("a stored failure: {error}")))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_failure_keeps_what_the_caller_is_told_and_nothing_else() {
        let failures = [
            Error::missing("2 objects have not arrived", vec!["nar a".into(), "log b".into()]),
            Error::invalid("paths", "no"),
            Error::unavailable("later", 7).with_cause("a secret of the log"),
            Error::push_gone("begin again"),
        ];
        for failure in failures {
            let stored = failure.to_stored();
            assert!(!stored.contains("secret"), "{stored}");
            let read = Error::from_stored(&stored);
            assert_eq!(read.kind(), failure.kind());
            assert_eq!(
                (read.message(), read.field(), read.cause()),
                (failure.message(), failure.field(), None)
            );
        }
        assert_eq!(Error::from_stored("x").kind(), &ErrorKind::Internal);
    }
}
