//! Asks the server, before anything is built, all that would otherwise fail after it.

use std::time::Duration;

use niks3_client::{Api, Error, PROTOCOL_VERSION, TokenError, TokenProvider, types};
use niks3_nix::glob::Glob;
use niks3_push::LocalStore;

use url::Url;

use crate::{ActionError, inputs::Inputs, job, target::Target};

/// A server that restarts just now is waited for so long.
pub(crate) const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(30);
const UNAUTHORIZED: u16 = 401;
/// A cache that does not answer is left to Nix.
const CACHE_TIMEOUT: Duration = Duration::from_secs(5);
/// No push has this name: the server looks at the token, then says that there is none.
const NO_PUSH: &str = "niks3-action-asks";

/// The cache's configuration, from a server that we can speak with.
pub(crate) async fn configuration(target: &Target) -> Result<types::CacheConfig, ActionError> {
    let api = target.api(TokenProvider::anonymous(), PREFLIGHT_TIMEOUT)?;
    let config = api
        .call("asking for the cache's configuration", |client| async move {
            client.get_cache_config(None).await
        })
        .await
        .map_err(|error| ActionError(error.to_string()))?;
    let ours = i64::from(PROTOCOL_VERSION);
    let theirs = i64::from(config.protocol_min)..=i64::from(config.protocol_max);
    if !theirs.contains(&ours) {
        return Err(ActionError(format!(
            "the server at {} speaks versions {} to {} of the protocol and this action version {ours}: upgrade the \
             older of the two",
            api.shown(),
            theirs.start(),
            theirs.end()
        )));
    }
    let store = LocalStore::from_environment().map_err(|error| ActionError(error.to_string()))?;
    if store.store_dir().to_string() != config.store_dir {
        return Err(ActionError(format!(
            "the cache is for the store directory {} and this machine's is {}",
            config.store_dir,
            store.store_dir()
        )));
    }
    Ok(config)
}

/// Whether this job may push.
pub(crate) enum Permission {
    Granted,
    /// It never can, and that is all right: what kind of job it is.
    Never(&'static str),
    /// An input says so.
    Off,
}

/// Asks whether the server takes our token for pushes, and lets it make the pin.
pub(crate) async fn permission(target: &Target, pin: Option<&str>) -> Result<Permission, ActionError> {
    let Some(tokens) = target.tokens()? else {
        return match job::never_gets_a_token() {
            Some(kind) => Ok(Permission::Never(kind)),
            None => Err(ActionError::new(
                "this job has no token: add `permissions: { id-token: write, contents: read }` to it, or give the input \
                 `auth-token`",
            )),
        };
    };
    let api = target.api(tokens, PREFLIGHT_TIMEOUT)?;
    let asked = api
        .call("asking whether the token is accepted", |client| async move {
            client.get_push(NO_PUSH).await
        })
        .await;
    match asked {
        Ok(_) => may_pin(&api, pin).await,
        Err(error) if error.status().is_some_and(|status| status == 404) => may_pin(&api, pin).await,
        // A private repository can give tokens to forks; whether those may push is the server's to say.
        Err(error) if error.status().is_some_and(|status| status == 403) => match job::never_gets_a_token() {
            Some(kind) => Ok(Permission::Never(kind)),
            None => Err(refusal(&api, &error)),
        },
        Err(error) => Err(refusal(&api, &error)),
    }
}

/// A pin that the server would refuse at the end is refused before anything is built.
async fn may_pin(api: &Api, pin: Option<&str>) -> Result<Permission, ActionError> {
    let Some(pin) = pin else {
        return Ok(Permission::Granted);
    };
    let who = api
        .call("asking which pins are allowed", |client| async move {
            client.whoami().await
        })
        .await
        .map_err(|error| refusal(api, &error))?;
    if who.pins.iter().any(|pattern| Glob::new(pattern).matches(pin)) {
        return Ok(Permission::Granted);
    }
    let allowed = match &who.pins[..] {
        [] => "no pins".to_owned(),
        pins => format!("only pins named {}", pins.join(", ")),
    };
    Err(ActionError(format!(
        "the input `pin` is '{pin}', and {} allows {} {allowed}",
        api.shown(),
        who.identity
    )))
}

fn refusal(api: &Api, error: &Error) -> ActionError {
    let server = api.shown();
    ActionError(match error.status().map(|status| status.as_u16()) {
        Some(401) => format!("{server} does not accept the token of this job: {error}"),
        Some(403) => format!("{server} knows this job and does not let it push: {error}"),
        _ => match error {
            Error::Token(TokenError::Github(_)) => format!(
                "{error}; does the job have `permissions: {{ id-token: write }}`, and is GitHub reachable?"
            ),
            _ => error.to_string(),
        },
    })
}

/// Where Nix reads the cache.
pub(crate) struct Substituter {
    pub(crate) url: String,
    /// Nobody reads without a password.
    pub(crate) is_private: bool,
}

/// Where Nix reads the cache: as the inputs say, else as the server says, else the server itself if it serves reads.
pub(crate) async fn substituter(
    inputs: &Inputs,
    config: &types::CacheConfig,
    target: &Target,
) -> Option<Substituter> {
    if let Some(url) = inputs.substituter.clone().or_else(|| config.substituter.clone()) {
        let is_private = cache_info(target, &url, None).await == Some(UNAUTHORIZED);
        return Some(Substituter { url, is_private });
    }
    let url = target.server_url().as_str().trim_end_matches('/').to_owned();
    match cache_info(target, &url, None).await? {
        200 => Some(Substituter {
            url,
            is_private: false,
        }),
        UNAUTHORIZED => Some(Substituter {
            url,
            is_private: true,
        }),
        _ => None,
    }
}

/// The status that a cache answers to somebody with this login and password, if it answers.
pub(crate) async fn cache_info(
    target: &Target,
    cache: &str,
    credentials: Option<(&str, &str)>,
) -> Option<u16> {
    let mut url = cache
        .parse::<Url>()
        .ok()
        .filter(|url| url.scheme().starts_with("http"))?;
    url.set_query(None);
    url.set_path(&format!("{}/nix-cache-info", url.path().trim_end_matches('/')));
    // As Nix asks: it shows no certificate.
    let mut request = target.http().ok()?.others.get(url).timeout(CACHE_TIMEOUT);
    if let Some((login, password)) = credentials {
        request = request.basic_auth(login, Some(password));
    }
    Some(request.send().await.ok()?.status().as_u16())
}
