//! The server that everything goes to, and who we are there.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use niks3_client::{Api, ConnectOptions, RetryPolicy, TokenProvider, build_http};
use niks3_push::{LocalStore, PushOptions, run_of_environment};
use niks3_queue::ServerPusher;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{Trouble, inputs::Inputs};

/// A server that is away for longer is waited for between pushes, not within one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything it takes to push; what the daemon gets through a pipe.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    #[serde(with = "as_text")]
    server_url: Url,
    token: Option<String>,
    audience: Option<String>,
    ca_cert: Option<PathBuf>,
    #[serde(with = "as_texts")]
    skip_upstream: Vec<Url>,
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

mod as_texts {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use url::Url;

    pub(super) fn serialize<S: Serializer>(urls: &[Url], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(urls.iter().map(Url::as_str))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Url>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(D::Error::custom))
            .collect()
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
            ca_cert: inputs.ca_cert.clone(),
            skip_upstream: inputs.skip_upstream.clone(),
        }
    }

    /// A server to which nothing is pushed.
    pub(crate) fn new(server_url: Url, token: Option<&SecretString>, audience: Option<String>) -> Self {
        Self {
            server_url,
            token: token.map(|token| token.expose_secret().to_owned()),
            audience,
            ca_cert: None,
            skip_upstream: Vec::new(),
        }
    }

    /// Where tokens come from, if this job can have any.
    pub(crate) fn tokens(&self) -> Result<Option<TokenProvider>, Trouble> {
        match &self.token {
            Some(token) => TokenProvider::given(&SecretString::from(token.clone()), "the input `auth-token`")
                .map(Some)
                .map_err(|error| Trouble(error.to_string())),
            None => Ok(TokenProvider::github(self.audience.clone())),
        }
    }

    /// The server, for whoever `tokens` says.
    pub(crate) fn api(&self, tokens: TokenProvider, patience: Duration) -> Result<Api, Trouble> {
        let options = ConnectOptions {
            ca_cert: self.ca_cert.clone(),
            ..ConnectOptions::default()
        };
        let http = build_http(&options).map_err(|error| Trouble(error.to_string()))?;
        let policy = RetryPolicy {
            max_elapsed: patience,
            ..RetryPolicy::default()
        };
        Ok(Api::new(&self.server_url, http, Arc::new(tokens), policy))
    }

    /// What pushes there, each path with what is from this machine among what it refers to.
    pub(crate) fn pusher(&self, sent: &Arc<AtomicU64>) -> Result<ServerPusher, Trouble> {
        let tokens = self
            .tokens()?
            .ok_or_else(|| Trouble::new("this job has no token any more"))?;
        Ok(ServerPusher {
            api: self.api(tokens, PATIENCE)?,
            store: LocalStore::from_environment().map_err(|error| Trouble(error.to_string()))?,
            options: PushOptions {
                leave_substituted: true,
                run: run_of_environment(),
                skip_upstream: self.skip_upstream.clone(),
                ..PushOptions::default()
            },
            sent: Arc::clone(sent),
        })
    }
}
