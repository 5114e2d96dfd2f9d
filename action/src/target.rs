//! The server that everything goes to, and who we are there.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use niks3_client::{Api, Http, RetryPolicy, TokenProvider};
use niks3_push::{LocalStore, PushOptions, Upstream, run_of_environment};
use niks3_queue::ServerPusher;
use regex::Regex;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{ActionError, inputs::Inputs, tls::Tls};

/// A server that is away for longer is waited for between pushes, not within one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything it takes to push; what the daemon gets through a pipe.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    #[serde(with = "as_text")]
    server_url: Url,
    token: Option<String>,
    audience: Option<String>,
    tls: Tls,
    push: PushSettings,
}

/// What the inputs say about pushes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct PushSettings {
    skip_upstream: Vec<Upstream>,
    compression_level: i32,
    max_concurrent_uploads: u16,
    verify_s3_integrity: bool,
    /// A regular expression.
    filter: Option<String>,
}

mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use url::Url;

    pub(super) fn serialize<S: Serializer>(url: &Url, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(url.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Target {
    pub(crate) fn of(inputs: &Inputs) -> Self {
        Self {
            server_url: inputs.server_url.clone(),
            token: inputs
                .auth_token
                .as_ref()
                .map(|token| token.expose_secret().to_owned()),
            audience: inputs.audience.clone(),
            tls: inputs.tls.clone(),
            push: PushSettings {
                skip_upstream: inputs.skip_upstream.clone(),
                compression_level: inputs.compression_level,
                max_concurrent_uploads: inputs.max_concurrent_uploads,
                verify_s3_integrity: inputs.verify_s3_integrity,
                filter: inputs
                    .push_filter
                    .as_ref()
                    .map(|filter| filter.as_str().to_owned()),
            },
        }
    }

    /// A server to which nothing is pushed.
    pub(crate) fn new(server_url: Url, token: Option<String>, audience: Option<String>, tls: Tls) -> Self {
        Self {
            server_url,
            token,
            audience,
            tls,
            push: PushSettings::default(),
        }
    }

    pub(crate) fn server_url(&self) -> &Url {
        &self.server_url
    }

    /// Where tokens come from, if this job can have any.
    pub(crate) fn tokens(&self) -> Result<Option<TokenProvider>, ActionError> {
        match &self.token {
            Some(token) => TokenProvider::given(&SecretString::from(token.clone()), "the input `auth-token`")
                .map(Some)
                .map_err(|error| ActionError(error.to_string())),
            None => Ok(TokenProvider::github(self.audience.clone())
                // A certificate says who asks.
                .or_else(|| self.tls.has_client_cert().then(TokenProvider::anonymous))),
        }
    }

    /// HTTP clients that trust what the inputs say.
    pub(crate) fn http(&self) -> Result<Http, ActionError> {
        self.tls.http()
    }

    /// The server, for whoever `tokens` says.
    pub(crate) fn api(&self, tokens: TokenProvider, patience: Duration) -> Result<Api, ActionError> {
        let http = self.tls.http()?;
        let policy = RetryPolicy {
            max_elapsed: patience,
            ..RetryPolicy::default()
        };
        Ok(Api::new(&self.server_url, http, Arc::new(tokens), policy))
    }

    /// Paths whose base names match are no roots of pushes.
    pub(crate) fn push_filter(&self) -> Result<Option<Regex>, ActionError> {
        let filter = self.push.filter.as_deref().map(Regex::new).transpose();
        filter.map_err(|error| ActionError(error.to_string()))
    }

    /// What pushes there, each path with what is from this machine among what it refers to.
    pub(crate) fn pusher(&self, sent: &Arc<AtomicU64>) -> Result<ServerPusher, ActionError> {
        let tokens = self
            .tokens()?
            .ok_or_else(|| ActionError::new("this job has no token any more"))?;
        Ok(ServerPusher {
            api: self.api(tokens, PATIENCE)?,
            store: LocalStore::from_environment().map_err(|error| ActionError(error.to_string()))?,
            options: PushOptions {
                leave_substituted: true,
                run: run_of_environment(),
                skip_upstream: self.push.skip_upstream.clone(),
                compression_level: self.push.compression_level,
                max_concurrent_uploads: usize::from(self.push.max_concurrent_uploads),
                verify_integrity: self.push.verify_s3_integrity,
                ..PushOptions::default()
            },
            sent: Arc::clone(sent),
        })
    }
}
