//! The one place that knows status codes: every failure becomes
//! `application/problem+json` (RFC 9457), with what the caller is told apart
//! from what the log is told.

use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};

use crate::catalog::CatalogError;
use crate::error::{Error, ErrorKind};
use crate::storage::StorageError;
use crate::telemetry;

/// What went wrong (RFC 9457).
#[derive(Debug, Clone, Object)]
#[oai(rename = "Problem")]
pub struct Body {
    /// Kind of problem: `urn:niks3:problem:push-gone` when the push is unknown or over, so that it has to begin again;
    /// `urn:niks3:problem:store-refuses` when a policy of the object store does not let the server do what is needed;
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

/// The `type` of most problems: their status says all.
const BLANK: &str = "about:blank";
/// The `type` at which a client begins its push again.
const PUSH_GONE: &str = "urn:niks3:problem:push-gone";

/// The `type` at which a client soon stops trying: somebody has to change a policy.
const STORE_REFUSES: &str = "urn:niks3:problem:store-refuses";
/// Seconds after which whoever tries it again may find another policy.
const POLICY_SECONDS: u32 = 60;

/// A failure as a client is told of it.
#[derive(Debug)]
pub struct Problem {
    kind: &'static str,
    status: StatusCode,
    detail: String,
    field: Option<String>,
    missing: Option<Vec<String>>,
    required_scope: Option<String>,
    retry_after: Option<u32>,
    /// What `WWW-Authenticate` says besides the realm.
    challenge: Option<String>,
    /// HTTP Basic does as well.
    basic: bool,
    /// For the log alone.
    cause: Option<String>,
}

impl Problem {
    /// A problem that only its status tells from others.
    pub fn from_status(status: StatusCode, detail: String) -> Self {
        Self {
            kind: BLANK,
            status,
            detail,
            field: None,
            missing: None,
            required_scope: None,
            retry_after: None,
            challenge: None,
            basic: false,
            cause: None,
        }
    }

    /// What the caller is told.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Says that HTTP Basic does as well, with the token as password.
    #[must_use]
    pub fn or_basic(self) -> Self {
        Self { basic: true, ..self }
    }

    /// What `WWW-Authenticate` says.
    fn authenticate(&self) -> String {
        match &self.challenge {
            Some(challenge) => format!("Bearer realm=\"niks3\", {challenge}"),
            None => "Bearer realm=\"niks3\"".into(),
        }
    }

    fn body(&self) -> Body {
        if let Some(cause) = &self.cause {
            tracing::warn!(status = self.status.as_u16(), detail = %self.detail, %cause, "request failed");
        }
        Body {
            kind: self.kind.into(),
            title: self.status.canonical_reason().unwrap_or("Error").into(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            request_id: telemetry::request_id(),
            field: self.field.clone(),
            missing: self.missing.clone(),
            required_scope: self.required_scope.clone(),
        }
    }
}

/// The status of each kind of failure.
const fn status(kind: &ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Malformed => StatusCode::BAD_REQUEST,
        ErrorKind::NoCredentials | ErrorKind::InvalidCredentials => StatusCode::UNAUTHORIZED,
        ErrorKind::MissingScope(_) | ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound | ErrorKind::PushGone => StatusCode::NOT_FOUND,
        ErrorKind::Conflict { .. } => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable { .. } | ErrorKind::StoreRefuses => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let mut problem = Self::from_status(status(error.kind()), error.message().to_owned());
        problem.field = error.field().map(str::to_owned);
        problem.cause = error.cause().map(str::to_owned);
        match error.kind() {
            ErrorKind::PushGone => problem.kind = PUSH_GONE,
            ErrorKind::StoreRefuses => {
                problem.kind = STORE_REFUSES;
                problem.retry_after = Some(POLICY_SECONDS);
            }
            ErrorKind::Conflict { missing } => problem.missing.clone_from(missing),
            ErrorKind::TooMany { retry_after } | ErrorKind::Unavailable { retry_after } => {
                problem.retry_after = Some(*retry_after);
            }
            ErrorKind::InvalidCredentials => {
                // A quoted string of a header: what does not fit into one is left out.
                let quoted: String = (error.message().chars())
                    .filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
                    .take(500)
                    .collect();
                let challenge = format!("error=\"invalid_token\", error_description=\"{quoted}\"");
                problem.challenge = Some(challenge);
            }
            ErrorKind::MissingScope(scope) => {
                problem.challenge = Some(format!("error=\"insufficient_scope\", scope=\"{scope}\""));
                problem.required_scope = Some(scope.clone());
            }
            ErrorKind::Malformed
            | ErrorKind::NoCredentials
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::TooLarge
            | ErrorKind::Invalid
            | ErrorKind::Internal => {}
        }
        problem
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
        if (self.status == StatusCode::UNAUTHORIZED || self.challenge.is_some())
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

/// The answer to a request that failed.
pub fn answer(error: impl Into<Error>) -> Response {
    Problem::from(error.into()).into_response()
}

/// A failure on its way through the framework.
pub fn refuse(error: impl Into<Error>) -> poem::Error {
    poem::Error::from_response(answer(error))
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

impl From<Error> for ApiProblem {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}

impl From<CatalogError> for ApiProblem {
    fn from(error: CatalogError) -> Self {
        Error::from(error).into()
    }
}

impl From<StorageError> for ApiProblem {
    fn from(error: StorageError) -> Self {
        Error::from(error).into()
    }
}
