//! What went wrong with the server, as one sentence for the person who reads it.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::{
    describe::{describe, is_temporary_name_failure},
    retry::{Hint, Retryable},
    token::TokenError,
};

/// An `application/problem+json` answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The kind of problem, as a URI.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem, in words.
    pub title: String,
    /// What happened this time.
    pub detail: Option<String>,
    /// What the server's log line has too.
    pub request_id: Option<String>,
    /// The field that is wrong.
    pub field: Option<String>,
    /// What a commit still lacks.
    pub missing: Option<Vec<String>>,
}

/// The kind of problem of a push that is unknown or over, so that it has to begin again.
const PUSH_GONE: &str = "urn:niks3:problem:push-gone";

/// Why a call to the server failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server says why.
    #[error("{}", sentence(*status, problem))]
    Problem {
        /// The status of the answer.
        status: StatusCode,
        /// Its body.
        problem: Box<Problem>,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// Something before the server answered, a proxy for example.
    #[error("{server} answers HTTP {}, which is not from niks3 but from a proxy before it", status.as_u16())]
    Status {
        /// Its address.
        server: String,
        /// The status of the answer.
        status: StatusCode,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// Something else answers at this address.
    #[error("{0}")]
    NotNiks3(String),
    /// An answer of the server is not what the API promises.
    #[error(
        "cannot understand the server's answer ({0}); client and server are probably of different versions"
    )]
    Unintelligible(String),
    /// The server is still at work, and nobody waits for it any longer.
    #[error("{0}")]
    Unfinished(String),
    /// No answer at all.
    #[error("cannot reach the server{}: {message}", at(server.as_deref()))]
    Transport {
        /// Its address, without path and query.
        server: Option<String>,
        /// What happened, without the URL's secrets.
        message: String,
        /// What that says about another try.
        hint: Hint,
        /// Whether the request may have been carried out.
        sent: bool,
    },
    /// There is no token to send.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Error {
    /// The status of the answer, if there was one.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Problem { status, .. } | Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What the server said, if it said anything.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// Whether the server no longer knows the push that was asked for.
    #[must_use]
    pub fn is_push_gone(&self) -> bool {
        self.problem().is_some_and(|problem| problem.kind == PUSH_GONE)
    }

    /// Whether what was asked for may have been done all the same.
    pub(crate) fn may_be_done(&self) -> bool {
        match self {
            Self::Problem { status, .. } | Self::Status { status, .. } => status.is_server_error(),
            Self::Transport { sent, .. } => *sent,
            Self::Unintelligible(_) | Self::Unfinished(_) => true,
            Self::NotNiks3(_) | Self::Token(_) => false,
        }
    }

    /// `reached`: the server has answered before.
    pub(crate) fn transport(error: &reqwest::Error, reached: bool) -> Self {
        let hint = if error.is_builder() || is_certificate(error) {
            Hint::Never
        } else if is_temporary_name_failure(error) {
            Hint::Again(None)
        } else if !reached {
            Hint::NeverReached
        } else if error.is_timeout() && !error.is_connect() {
            Hint::AtWork
        } else {
            Hint::Again(None)
        };
        let mut message = describe(error);
        if message == "connection refused" {
            message += "; is niks3-server running?";
        }
        Self::Transport {
            server: error.url().map(|url| url.origin().ascii_serialization()),
            message,
            hint,
            sent: !error.is_builder() && !error.is_connect(),
        }
    }
}

/// ` at http://host:port`, if it is known.
fn at(server: Option<&str>) -> String {
    server.map(|server| format!(" at {server}")).unwrap_or_default()
}

impl Retryable for Error {
    fn hint(&self) -> Hint {
        match self {
            // The server's own word for a defect.
            Self::Problem { status, .. } if *status == StatusCode::INTERNAL_SERVER_ERROR => Hint::FewTimes,
            // A proxy that waited for the server no longer than this.
            Self::Status { status, .. } if matches!(status.as_u16(), 504 | 524) => Hint::AtWork,
            Self::Problem {
                status, retry_after, ..
            }
            | Self::Status {
                status, retry_after, ..
            } => Hint::of_status(*status, *retry_after),
            Self::Transport { hint, .. } => *hint,
            Self::Token(error) if error.is_passing() => Hint::FewTimes,
            _ => Hint::Never,
        }
    }
}

/// Whether it is about a certificate: one that is refused now is refused the next time too.
#[must_use]
pub fn is_certificate(error: &reqwest::Error) -> bool {
    tells_of_certificate(&describe(error))
}

/// The other side's refusal of ours is an alert, which is shown by its name: `CertificateRequired`, `UnknownCA`.
fn tells_of_certificate(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("certificate") || message.contains("unknownca")
}

fn sentence(status: StatusCode, problem: &Problem) -> String {
    let mut text = match &problem.detail {
        Some(detail) if !detail.is_empty() => detail.clone(),
        _ if !problem.title.is_empty() => problem.title.clone(),
        _ => format!("the server answers HTTP {status}"),
    };
    if let Some(field) = problem
        .field
        .as_ref()
        .filter(|field| !text.contains(field.as_str()))
    {
        text = format!("{field}: {text}");
    }
    match &problem.request_id {
        Some(id) => format!("{text} (HTTP {}, request {id})", status.as_u16()),
        None => format!("{text} (HTTP {})", status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, detail: &str) -> Error {
        Error::Problem {
            status: StatusCode::from_u16(status).unwrap(),
            problem: Box::new(Problem {
                kind: "about:blank".to_owned(),
                title: "Forbidden".to_owned(),
                detail: Some(detail.to_owned()),
                request_id: Some("r1".to_owned()),
                ..Problem::default()
            }),
            retry_after: None,
        }
    }

    #[test]
    fn a_problem_is_shown_as_a_sentence_with_its_request_id() {
        let text = problem(403, "the token lacks the scope push").to_string();
        assert_eq!(text, "the token lacks the scope push (HTTP 403, request r1)");
    }

    #[test]
    fn a_push_that_is_gone_is_told_from_anything_else_that_is() {
        let mut gone = problem(404, "there is no push");
        assert!(!gone.is_push_gone());
        if let Error::Problem { problem, .. } = &mut gone {
            problem.kind = PUSH_GONE.to_owned();
        }
        assert!(gone.is_push_gone());
    }

    #[test]
    fn what_is_about_a_certificate_is_told_from_what_is_not() {
        for last in [
            "no connection: invalid peer certificate: UnknownIssuer",
            "received fatal alert: CertificateRequired",
            "received fatal alert: BadCertificate",
            "no connection: received fatal alert: UnknownCA",
        ] {
            assert!(tells_of_certificate(last), "{last}");
        }
        for passing in [
            "no connection: Connection refused (os error 111)",
            "received fatal alert: InternalError",
        ] {
            assert!(!tells_of_certificate(passing), "{passing}");
        }
    }

    #[test]
    fn statuses_that_pass_are_tried_again_and_others_are_not() {
        for status in [429, 502, 503, 504] {
            assert_eq!(problem(status, "x").hint(), Hint::Again(None));
        }
        assert_eq!(problem(500, "x").hint(), Hint::FewTimes);
        assert_eq!(problem(507, "x").hint(), Hint::Again(None));
        for status in [400, 401, 403, 404, 409, 413, 422] {
            assert_eq!(problem(status, "x").hint(), Hint::Never);
        }
    }
}
