//! Every call to the server: with the token and the protocol version, checked for who answers, tried again.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use progenitor_client::{ClientHooks, ClientInfo as _, OperationInfo, ResponseValue};
use reqwest::{
    Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION},
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    error::{Error, Problem},
    generated::Client,
    http::{Http, shown_address, without_userinfo},
    retry::{Hint, RetryPolicy, retry, retry_after},
    token::TokenProvider,
};

/// The version of the protocol that this client speaks.
pub const PROTOCOL_VERSION: u32 = 1;

const VERSION_HEADER: &str = "niks3-protocol-version";

/// A try that hears nothing for this long is over. What takes the server longer is asked for again, and joined.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// Within this time somebody who speaks another protocol hangs up.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What a generated client carries with it through its hooks.
#[derive(Debug, Clone, Default)]
pub struct Session {
    token: Option<SecretString>,
    timeout: Duration,
    // The server's address as it may be shown.
    shown: Arc<str>,
    // Whether the server has ever answered.
    reached: Arc<AtomicBool>,
    // Why the last answer was refused, in more words than the generated error can carry.
    foreign: Arc<Mutex<Option<Error>>>,
}

impl ClientHooks<Session> for Client {
    async fn pre<E>(
        &self,
        request: &mut reqwest::Request,
        _info: &OperationInfo,
    ) -> Result<(), progenitor_client::Error<E>> {
        let headers = request.headers_mut();
        headers.insert(VERSION_HEADER, HeaderValue::from(PROTOCOL_VERSION));
        if let Some(token) = &self.inner().token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                .map_err(|_| progenitor_client::Error::InvalidRequest("the token".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        *request.timeout_mut() = Some(self.inner().timeout);
        Ok(())
    }

    async fn post<E>(
        &self,
        result: &reqwest::Result<Response>,
        _info: &OperationInfo,
    ) -> Result<(), progenitor_client::Error<E>> {
        let session = self.inner();
        let Ok(response) = result else { return Ok(()) };
        if response.headers().contains_key(VERSION_HEADER) {
            session.reached.store(true, Ordering::Relaxed);
        }
        match foreign(&session.shown, response) {
            None => Ok(()),
            Some(error) => {
                let text = error.to_string();
                *session.foreign.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(progenitor_client::Error::Custom(text))
            }
        }
    }
}

/// Why this answer is not one of a niks3 server that speaks with us.
fn foreign(base: &str, response: &Response) -> Option<Error> {
    let status = response.status();
    if let Some(version) = response.headers().get(VERSION_HEADER) {
        let ours = PROTOCOL_VERSION.to_string();
        let theirs = version.to_str().unwrap_or("?");
        return (theirs != ours && status.is_success()).then(|| {
            Error::NotNiks3(format!(
                "the server at {base} speaks version {theirs} of the protocol and this niks3 version {ours}: \
                 upgrade the older of the two"
            ))
        });
    }
    let retry_after = retry_after(response.headers());
    // A proxy before the server that cannot reach it for a moment.
    if Hint::of_status(status, retry_after) != Hint::Never {
        return Some(Error::Status {
            server: base.to_owned(),
            status,
            retry_after,
        });
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Some(Error::NotNiks3(format!(
            "a proxy before {base} refuses a request of this size (HTTP 413): raise its limit for bodies, in nginx \
             client_max_body_size"
        )));
    }
    if status.is_redirection() {
        let to = response
            .headers()
            .get(LOCATION)
            .and_then(|to| to.to_str().ok())
            .map_or_else(|| "another address".to_owned(), shown_address);
        return Some(Error::NotNiks3(format!(
            "{base} redirects to {to}: give the final address of the server as --server-url"
        )));
    }
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("no type");
    Some(Error::NotNiks3(format!(
        "{base} does not answer like a niks3 server (HTTP {}, {kind}): check --server-url and any proxy before it",
        status.as_u16()
    )))
}

/// How a call ended.
#[derive(Debug)]
pub struct Called<T> {
    /// What the last try gave.
    pub result: Result<T, Error>,
    /// One of them may have been carried out without an answer that says so.
    pub maybe_done: bool,
}

/// The server, as everything else calls it.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    shown: Arc<str>,
    http: Http,
    tokens: Arc<TokenProvider>,
    policy: RetryPolicy,
    timeout: Duration,
    // Whether the server has ever answered.
    reached: Arc<AtomicBool>,
}

impl Api {
    /// The server at `base`.
    #[must_use]
    pub fn new(base: &url::Url, http: Http, tokens: Arc<TokenProvider>, policy: RetryPolicy) -> Self {
        Self {
            base: base.as_str().trim_end_matches('/').to_owned(),
            shown: without_userinfo(base).as_str().trim_end_matches('/').into(),
            http,
            tokens,
            policy,
            timeout: CALL_TIMEOUT,
            reached: Arc::default(),
        }
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same as it may be shown: without a password.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// No token is sent.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.tokens.is_anonymous()
    }

    /// The HTTP client underneath, for uploads.
    #[must_use]
    pub const fn http(&self) -> &reqwest::Client {
        &self.http.own
    }

    /// The HTTP client for what is not of this server.
    #[must_use]
    pub const fn http_of_others(&self) -> &reqwest::Client {
        &self.http.others
    }

    /// How long things are tried again.
    #[must_use]
    pub const fn policy(&self) -> RetryPolicy {
        self.policy
    }

    /// A token for programs that ask this server themselves, issued now, and when it ends; none if none is sent.
    pub async fn issue_token(&self) -> Result<Option<(SecretString, Option<DateTime<Utc>>)>, Error> {
        Ok(self.tokens.issued(&self.http.own, &self.base).await?)
    }

    /// Runs one operation of the generated client until it succeeds or there is no hope left.
    ///
    /// `what` names it in a message about another try. A token that the server refuses is renewed once.
    pub async fn call<T, E, F, Fut>(&self, what: &str, operation: F) -> Result<T, Error>
    where
        E: serde::Serialize,
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<ResponseValue<T>, progenitor_client::Error<E>>>,
    {
        self.called(self.policy, what, operation).await.result
    }

    /// The same for what may keep the server at work for `max_work`, and is joined when it is asked for again.
    pub async fn call_long<T, E, F, Fut>(
        &self,
        max_work: Duration,
        what: &str,
        operation: F,
    ) -> Result<T, Error>
    where
        E: serde::Serialize,
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<ResponseValue<T>, progenitor_client::Error<E>>>,
    {
        let policy = RetryPolicy {
            max_work,
            ..self.policy
        };
        self.called(policy, what, operation).await.result
    }

    /// The same for what deletes something: it is done too when another try finds nothing any more.
    pub async fn delete<E, F, Fut>(&self, what: &str, operation: F) -> Result<(), Error>
    where
        E: serde::Serialize,
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<ResponseValue<()>, progenitor_client::Error<E>>>,
    {
        let called = self.called(self.policy, what, operation).await;
        match called.result {
            Err(Error::Problem { status, .. }) if status == StatusCode::NOT_FOUND && called.maybe_done => {
                Ok(())
            }
            result => result,
        }
    }

    /// The same for what another try finds done by the one before, if that lost its answer.
    pub async fn call_unrepeatable<T, E, F, Fut>(&self, what: &str, operation: F) -> Called<T>
    where
        E: serde::Serialize,
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<ResponseValue<T>, progenitor_client::Error<E>>>,
    {
        self.called(self.policy, what, operation).await
    }

    async fn called<T, E, F, Fut>(&self, policy: RetryPolicy, what: &str, operation: F) -> Called<T>
    where
        E: serde::Serialize,
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<ResponseValue<T>, progenitor_client::Error<E>>>,
    {
        let maybe_done = AtomicBool::new(false);
        let result = retry(policy, what, || async {
            let result = self.with_token(&operation).await;
            if result.as_ref().is_err_and(Error::may_be_done) {
                maybe_done.store(true, Ordering::Relaxed);
            }
            result
        })
        .await;
        Called {
            result,
            maybe_done: maybe_done.into_inner(),
        }
    }

    async fn with_token<T, E, F, Fut>(&self, operation: &F) -> Result<T, Error>
    where
        E: serde::Serialize,
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<ResponseValue<T>, progenitor_client::Error<E>>>,
    {
        let token = self.tokens.token(&self.http.own, &self.base).await?;
        match self.once(token.clone(), operation).await {
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                let fresh = self
                    .tokens
                    .renewed(&self.http.own, &self.base, token.as_ref())
                    .await?;
                match fresh {
                    Some(fresh) => self.once(Some(fresh), operation).await,
                    None => Err(error),
                }
            }
            result => result,
        }
    }

    /// A server that does not know an operation of its own API was asked at another path than that of the API.
    fn explained(&self, error: Error) -> Error {
        let path = self
            .shown
            .parse()
            .map_or_else(|_| String::new(), |url: url::Url| url.path().to_owned());
        match error {
            Error::Problem { status, .. } if status == StatusCode::METHOD_NOT_ALLOWED && path.len() > 1 => {
                Error::NotNiks3(format!(
                    "{} is a page of a niks3 server, and not its address: give it without {path}",
                    self.shown
                ))
            }
            error => error,
        }
    }

    async fn once<T, E, F, Fut>(&self, token: Option<SecretString>, operation: &F) -> Result<T, Error>
    where
        E: serde::Serialize,
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<ResponseValue<T>, progenitor_client::Error<E>>>,
    {
        let session = Session {
            token,
            timeout: self.timeout,
            shown: Arc::clone(&self.shown),
            reached: Arc::clone(&self.reached),
            foreign: Arc::default(),
        };
        let foreign = Arc::clone(&session.foreign);
        let client = Client::new_with_client(&self.base, self.http.own.clone(), session);
        let asked = Instant::now();
        match operation(client).await {
            Ok(value) => Ok(value.into_inner()),
            Err(error) => {
                let foreign = foreign.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(match foreign {
                    Some(foreign) => foreign,
                    None => {
                        let reached = self.reached.load(Ordering::Relaxed);
                        self.explained(convert(error, reached, asked.elapsed()).await)
                    }
                })
            }
        }
    }
}

/// `reached`: the server has answered before; `waited`: how long this answer was waited for.
async fn convert<E: serde::Serialize>(
    error: progenitor_client::Error<E>,
    reached: bool,
    waited: Duration,
) -> Error {
    use progenitor_client::Error as Generated;
    match error {
        Generated::ErrorResponse(answer) => {
            let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
            let problem = serde_json::to_value(answer.into_inner())
                .and_then(serde_json::from_value::<Problem>)
                .unwrap_or_default();
            Error::Problem {
                status,
                problem: Box::new(problem),
                retry_after,
            }
        }
        Generated::UnexpectedResponse(response) => {
            let (status, retry_after) = (response.status(), retry_after(response.headers()));
            let body = response.bytes().await.unwrap_or_default();
            let problem = serde_json::from_slice::<Problem>(&body).unwrap_or_default();
            Error::Problem {
                status,
                problem: Box::new(problem),
                retry_after,
            }
        }
        Generated::InvalidResponsePayload(_, error) => Error::Unintelligible(error.to_string()),
        Generated::CommunicationError(error)
        | Generated::ResponseBodyError(error)
        | Generated::InvalidUpgrade(error) => {
            // Whoever speaks another protocol hangs up at once; who has taken a request and is gone later was the server.
            let is_lost = waited > AT_ONCE && !error.is_connect() && !error.is_timeout();
            Error::transport(&error, reached || is_lost)
        }
        Generated::InvalidRequest(text) | Generated::Custom(text) => Error::Unintelligible(text),
    }
}

#[cfg(test)]
mod tests;
