//! The one place that knows status codes: every failure becomes
//! `application/problem+json` (RFC 9457), with what the caller is told apart
//! from what the log is told.

use std::fmt;

use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};
use serde::{Deserialize, Serialize};

use super::request_id;
use crate::auth::Scope;
use crate::catalog::CatalogError;
use crate::storage::StorageError;

/// What went wrong (RFC 9457).
#[derive(Debug, Clone, Object)]
#[oai(rename = "Problem")]
pub struct Body {
    /// Kind of problem: `urn:niks3:problem:push-gone` when the push is unknown or over, so that it has to begin again;
    /// else `about:blank`.
    #[oai(rename = "type")]
    pub kind: String,
    /// Short text that is the same for every problem of this kind.
    pub title: String,
    /// HTTP status code.
    pub status: u16,
    /// What is wrong with this very request, and what to do about it.
    pub detail: String,
    /// Name of the request in the server's log.
    pub request_id: String,
    /// The field of the request that is wrong.
    #[oai(skip_serializing_if_is_none)]
    pub field: Option<String>,
    /// What has not arrived yet, with 409 on a commit: `nar PATH`, `listing PATH` or `log DRV`.
    #[oai(skip_serializing_if_is_none)]
    pub missing: Option<Vec<String>>,
    /// The scope that the caller lacks, with 403: `read`, `push`, `gc` or `admin`.
    #[oai(skip_serializing_if_is_none)]
    pub required_scope: Option<String>,
}

/// What callers tell problems of one status apart by.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Its status says all.
    Blank,
    PushGone,
}

impl Kind {
    fn uri(self) -> &'static str {
        match self {
            Self::Blank => "about:blank",
            Self::PushGone => "urn:niks3:problem:push-gone",
        }
    }
}

/// A failure on its way to the caller.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    status: StatusCode,
    detail: String,
    field: Option<String>,
    missing: Option<Vec<String>>,
    retry_after: Option<u32>,
    denial: Option<Box<Denial>>,
    /// HTTP Basic does as well.
    basic: bool,
    /// For the log alone.
    cause: Option<String>,
}

/// What is kept of a failure.
#[derive(Serialize, Deserialize)]
struct Stored {
    push_gone: bool,
    status: u16,
    detail: String,
    field: Option<String>,
    missing: Option<Vec<String>>,
    retry_after: Option<u32>,
}

/// What a failure to get in has besides.
#[derive(Debug)]
struct Denial {
    required_scope: Option<Scope>,
    /// What the `WWW-Authenticate` header says besides the realm.
    challenge: String,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: Kind::Blank,
            status,
            detail: detail.into(),
            field: None,
            missing: None,
            retry_after: None,
            denial: None,
            basic: false,
            cause: None,
        }
    }

    /// 400: the request is malformed.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: who is asking?
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 401: what was brought proves nothing; `why` says which check failed.
    pub fn invalid_token(why: impl Into<String>) -> Self {
        let why = why.into();
        // A quoted string of a header: what does not fit into one is left out.
        let quoted: String = why
            .chars()
            .filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
            .take(500)
            .collect();
        let denial = Denial {
            required_scope: None,
            challenge: format!("error=\"invalid_token\", error_description=\"{quoted}\""),
        };
        Self {
            denial: Some(Box::new(denial)),
            ..Self::new(StatusCode::UNAUTHORIZED, why)
        }
    }

    /// 403: known, and without the scope.
    pub fn missing_scope(scope: Scope, detail: impl Into<String>) -> Self {
        let denial = Denial {
            required_scope: Some(scope),
            challenge: format!("error=\"insufficient_scope\", scope=\"{scope}\""),
        };
        Self {
            denial: Some(Box::new(denial)),
            ..Self::new(StatusCode::FORBIDDEN, detail)
        }
    }

    /// 403: known, and not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 404: there is no such push, or none any more: its client begins again.
    pub fn push_gone(detail: impl Into<String>) -> Self {
        Self {
            kind: Kind::PushGone,
            ..Self::not_found(detail)
        }
    }

    /// 409: it does not go together with what is there.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 413: more than the server takes at once.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 422: well-formed, but wrong: which field, and why.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
    }

    /// 429: too much at once, or too often; after so many seconds it may do.
    pub fn too_many(detail: impl Into<String>, retry_after: u32) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
        }
    }

    /// 503: later, perhaps.
    pub fn unavailable(detail: impl Into<String>, retry_after: u32) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// 500: a defect of this program; the caller learns only the request id.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self {
            cause: Some(cause.to_string()),
            ..Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the server failed; its log has this request id",
            )
        }
    }

    /// HTTP status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// What the caller is told.
    #[must_use]
    pub fn words(&self) -> String {
        self.detail.clone()
    }

    /// What happened, for the log and for those who may read it.
    #[must_use]
    pub fn text(&self) -> String {
        self.cause.clone().unwrap_or_else(|| self.detail.clone())
    }

    /// Names the field that is wrong.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Names what has not arrived.
    #[must_use]
    pub fn with_missing(mut self, missing: Vec<String>) -> Self {
        self.missing = Some(missing);
        self
    }

    /// Says that HTTP Basic does as well, with the token as password.
    #[must_use]
    pub fn or_basic(self) -> Self {
        Self { basic: true, ..self }
    }

    /// As JSON, for those who wait for the same work: what the caller is told, without what the log is told.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let stored = Stored {
            push_gone: matches!(self.kind, Kind::PushGone),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            field: self.field.clone(),
            missing: self.missing.clone(),
            retry_after: self.retry_after,
        };
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// Out of what [`Problem::to_stored`] wrote.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        let stored: Stored = match serde_json::from_str(text) {
            Ok(stored) => stored,
            Err(error) => return Self::internal(format!("a stored problem: {error}")),
        };
        let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            kind: if stored.push_gone {
                Kind::PushGone
            } else {
                Kind::Blank
            },
            field: stored.field,
            missing: stored.missing,
            retry_after: stored.retry_after,
            ..Self::new(status, stored.detail)
        }
    }

    pub(super) fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// A problem out of an error that came out of the framework as plain text.
    pub fn from_status(status: StatusCode, detail: String) -> Self {
        Self::new(status, detail)
    }

    /// What `WWW-Authenticate` says.
    fn authenticate(&self) -> String {
        match &self.denial {
            Some(denial) => format!("Bearer realm=\"niks3\", {}", denial.challenge),
            None => "Bearer realm=\"niks3\"".into(),
        }
    }

    fn body(&self) -> Body {
        if let Some(cause) = &self.cause {
            tracing::warn!(status = self.status.as_u16(), detail = %self.detail, %cause, "request failed");
        }
        Body {
            kind: self.kind.uri().into(),
            title: self.status.canonical_reason().unwrap_or("Error").into(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            request_id: request_id::current(),
            field: self.field.clone(),
            missing: self.missing.clone(),
            required_scope: self
                .denial
                .as_ref()
                .and_then(|denial| denial.required_scope)
                .map(|scope| scope.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body =
            serde_json::to_string(&poem_openapi::types::ToJSON::to_json(&self.body())).unwrap_or_default();
        let mut response = Response::builder()
            .status(self.status)
            .content_type("application/problem+json")
            .body(body);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if (self.status == StatusCode::UNAUTHORIZED || self.denial.is_some())
            && let Ok(value) = header::HeaderValue::from_str(&self.authenticate())
        {
            headers.insert(header::WWW_AUTHENTICATE, value);
            if self.basic {
                let basic = header::HeaderValue::from_static("Basic realm=\"niks3\"");
                headers.append(header::WWW_AUTHENTICATE, basic);
            }
        }
        response
    }
}

/// How every operation fails.
#[derive(Debug, ApiResponse)]
pub enum ApiProblem {
    /// The request is malformed.
    #[oai(status = 400, content_type = "application/problem+json")]
    Malformed(Json<Body>),
    /// No token, or one that is not accepted.
    #[oai(status = 401, content_type = "application/problem+json")]
    Unauthorized(Json<Body>, #[oai(header = "WWW-Authenticate")] String),
    /// The token does not allow this.
    #[oai(status = 403, content_type = "application/problem+json")]
    Forbidden(Json<Body>),
    /// There is no such thing.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Body>),
    /// It does not go together with what is there.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Json<Body>),
    /// More than the server takes at once.
    #[oai(status = 413, content_type = "application/problem+json")]
    TooLarge(Json<Body>),
    /// The body is of another type than `application/json`.
    #[oai(status = 415, content_type = "application/problem+json")]
    Unsupported(Json<Body>),
    /// Well-formed, but wrong.
    #[oai(status = 422, content_type = "application/problem+json")]
    Invalid(Json<Body>),
    /// Too many requests.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooMany(Json<Body>, #[oai(header = "Retry-After")] u32),
    /// The server failed.
    #[oai(status = 500, content_type = "application/problem+json")]
    Internal(Json<Body>),
    /// Database or bucket do not answer; try again.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(Json<Body>, #[oai(header = "Retry-After")] u32),
}

impl From<Problem> for ApiProblem {
    fn from(problem: Problem) -> Self {
        let body = Json(problem.body());
        let retry_after = problem.retry_after.unwrap_or(1);
        match problem.status.as_u16() {
            400 => Self::Malformed(body),
            401 => Self::Unauthorized(body, problem.authenticate()),
            403 => Self::Forbidden(body),
            404 => Self::NotFound(body),
            409 => Self::Conflict(body),
            413 => Self::TooLarge(body),
            415 => Self::Unsupported(body),
            422 => Self::Invalid(body),
            429 => Self::TooMany(body, retry_after),
            503 => Self::Unavailable(body, retry_after),
            _ => Self::Internal(body),
        }
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        match &error {
            CatalogError::Unavailable(_) | CatalogError::CannotOpen(_) => {
                Self::unavailable("the database does not answer", 2).with_cause(error)
            }
            CatalogError::Denied(_) => {
                Self::unavailable("the database does not let the server in", 60).with_cause(error)
            }
            CatalogError::Full(_) => {
                Self::unavailable("the database has no space left", 60).with_cause(error)
            }
            CatalogError::WentBack => {
                Self::unavailable("the database has lost transactions: try again", 1).with_cause(error)
            }
            CatalogError::NameMismatch(detail) => Self::invalid("path", detail.clone()),
            _ => Self::internal(error),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match &error {
            // What may be missing the caller of the store looks for; to a client 404 says that its push
            // is gone.
            StorageError::NotFound => Self::internal("the object store lacks what it has to have"),
            StorageError::Throttled { retry_after } => {
                let seconds =
                    retry_after.map_or(1, |wait| u32::try_from(wait.as_secs()).unwrap_or(60).max(1));
                Self::unavailable("the object store asks for patience", seconds).with_cause(error)
            }
            StorageError::Full => {
                Self::unavailable("the object store has no space left", 60).with_cause(error)
            }
            StorageError::Denied(_) => {
                Self::unavailable("the object store does not let the server in", 60).with_cause(error)
            }
            StorageError::Unavailable(_) => {
                Self::unavailable("the object store does not answer", 2).with_cause(error)
            }
            _ => Self::internal(error),
        }
    }
}

impl From<CatalogError> for ApiProblem {
    fn from(error: CatalogError) -> Self {
        Problem::from(error).into()
    }
}

impl From<StorageError> for ApiProblem {
    fn from(error: StorageError) -> Self {
        Problem::from(error).into()
    }
}
