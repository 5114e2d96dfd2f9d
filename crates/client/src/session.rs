//! Every call to the server: with the token and the protocol version, checked for who answers, tried again.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use progenitor_client::{ClientHooks, ClientInfo as _, OperationInfo, ResponseValue};
use reqwest::{
    Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION},
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    error::{Error, Problem},
    generated::Client,
    retry::{RetryPolicy, retry, retry_after},
    token::TokenProvider,
};

/// The version of the protocol that this client speaks.
pub const PROTOCOL_VERSION: u32 = 1;

const VERSION_HEADER: &str = "niks3-protocol-version";

/// A call that hears nothing for this long is over: a commit may write many narinfos before it answers.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a server is tried that has never answered.
const FIRST_CONTACT: Duration = Duration::from_secs(20);

/// What a generated client carries with it through its hooks.
#[derive(Debug, Clone, Default)]
pub struct Session {
    token: Option<SecretString>,
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
        *request.timeout_mut() = Some(CALL_TIMEOUT);
        Ok(())
    }

    async fn post<E>(
        &self,
        result: &reqwest::Result<Response>,
        _info: &OperationInfo,
    ) -> Result<(), progenitor_client::Error<E>> {
        match result
            .as_ref()
            .ok()
            .and_then(|response| foreign(self.baseurl(), response))
        {
            None => Ok(()),
            Some(error) => {
                let text = error.to_string();
                *self
                    .inner()
                    .foreign
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(error);
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
    // A proxy before the server that cannot reach it for a moment.
    if matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504) {
        return Some(Error::Status {
            status,
            retry_after: retry_after(response.headers()),
        });
    }
    if status.is_redirection() {
        let to = response
            .headers()
            .get(LOCATION)
            .and_then(|to| to.to_str().ok())
            .unwrap_or("another address");
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

/// The server, as everything else calls it.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    http: reqwest::Client,
    tokens: Arc<TokenProvider>,
    policy: RetryPolicy,
    // Whether the server has ever answered.
    reached: Arc<AtomicBool>,
}

impl Api {
    /// The server at `base`.
    #[must_use]
    pub fn new(
        base: &url::Url,
        http: reqwest::Client,
        tokens: Arc<TokenProvider>,
        policy: RetryPolicy,
    ) -> Self {
        Self {
            base: base.as_str().trim_end_matches('/').to_owned(),
            http,
            tokens,
            policy,
            reached: Arc::default(),
        }
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The HTTP client underneath, for uploads.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// How long things are tried again.
    #[must_use]
    pub const fn policy(&self) -> RetryPolicy {
        self.policy
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
        // A server that has never answered is more likely a wrong address than one that restarts.
        let policy = if self.reached.load(Ordering::Relaxed) {
            self.policy
        } else {
            RetryPolicy {
                max_elapsed: self.policy.max_elapsed.min(FIRST_CONTACT),
                ..self.policy
            }
        };
        retry(policy, what, || async {
            let token = self.tokens.token(&self.http, &self.base).await?;
            match self.once(token.clone(), &operation).await {
                Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                    match self
                        .tokens
                        .renewed(&self.http, &self.base, token.as_ref())
                        .await?
                    {
                        Some(fresh) => self.once(Some(fresh), &operation).await,
                        None => Err(error),
                    }
                }
                result => result,
            }
        })
        .await
    }

    async fn once<T, E, F, Fut>(&self, token: Option<SecretString>, operation: &F) -> Result<T, Error>
    where
        E: serde::Serialize,
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<ResponseValue<T>, progenitor_client::Error<E>>>,
    {
        let session = Session {
            token,
            foreign: Arc::default(),
        };
        let foreign = Arc::clone(&session.foreign);
        let client = Client::new_with_client(&self.base, self.http.clone(), session);
        match operation(client).await {
            Ok(value) => {
                self.reached.store(true, Ordering::Relaxed);
                Ok(value.into_inner())
            }
            Err(error) => {
                let foreign = foreign.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(match foreign {
                    Some(foreign) => foreign,
                    None => convert(error).await,
                })
            }
        }
    }
}

async fn convert<E: serde::Serialize>(error: progenitor_client::Error<E>) -> Error {
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
        | Generated::InvalidUpgrade(error) => Error::transport(&error),
        Generated::InvalidRequest(text) | Generated::Custom(text) => Error::Unintelligible(text),
    }
}
