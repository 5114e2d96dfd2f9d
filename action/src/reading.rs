//! What Nix needs to read the cache: its address, its keys, and a token if it asks for one.

use std::collections::HashMap;

use niks3_client::types::CacheConfig;
use secrecy::ExposeSecret as _;
use url::Url;

use crate::{
    ActionError,
    inputs::{Inputs, is_loopback},
    job,
    netrc::{self, LOGIN, Netrc, Token},
    nix,
    nix_conf::Settings,
    outputs::shown_url,
    preflight, runner,
    state::State,
    target::Target,
};

/// Where the machine's own netrc file is, if Nix does not say.
const MACHINE_NETRC: &str = "/etc/nix/netrc";

/// What is found out about reading.
#[derive(Default)]
pub(crate) struct Reading {
    pub(crate) settings: Settings,
    /// The netrc file that is written, and the token in it.
    pub(crate) netrc: Option<(Netrc, Token)>,
    /// Why this job does not read the cache.
    pub(crate) problem: Option<String>,
}

/// What Nix is set to, asked once, and only if somebody wants to know.
#[derive(Debug, Default)]
pub(crate) struct CurrentNix(tokio::sync::OnceCell<(HashMap<String, String>, bool)>);

impl CurrentNix {
    /// The settings, and whether Nix takes others from this user.
    pub(crate) async fn get(&self) -> Result<&(HashMap<String, String>, bool), ActionError> {
        self.0
            .get_or_try_init(|| async {
                let settings = nix::settings(None).await?;
                let trusted = nix::trusts_us(&settings).await;
                Ok((settings, trusted))
            })
            .await
    }
}

/// Finds out what to set.
pub(crate) async fn prepare(
    inputs: &Inputs,
    config: &CacheConfig,
    target: &Target,
    state: &State,
    current: &CurrentNix,
) -> Reading {
    let mut reading = Reading::default();
    if !inputs.configure_nix {
        return reading;
    }
    reading
        .settings
        .extra_substituters
        .clone_from(&inputs.extra_substituters);
    reading
        .settings
        .extra_public_keys
        .clone_from(&inputs.extra_trusted_public_keys);
    let Some(cache) = preflight::substituter(inputs, config, target).await else {
        reading.problem =
            Some("the server names no public address of the cache. Give the input `substituter`".to_owned());
        return reading;
    };
    let shown = shown_url(&cache.url);
    if cache.is_private {
        let search = Search {
            inputs,
            target,
            state,
            current,
            cache: &cache.url,
        };
        match search.password().await {
            Ok(netrc) => reading.netrc = netrc,
            Err(why) => {
                reading.problem = Some(format!("the cache at {shown} asks for a password, and {why}"));
                return reading;
            }
        }
    }
    reading.settings.netrc_file = reading.netrc.as_ref().map(|(netrc, _)| netrc.path.clone());
    runner::log(&format!(
        "niks3: reading from {shown}, signed by {}{}",
        config.public_keys.join(" "),
        if reading.netrc.is_some() {
            ", with a token of this job"
        } else {
            ""
        }
    ));
    reading.settings.substituter = Some(cache.url);
    reading.settings.public_keys.clone_from(&config.public_keys);
    reading
}

/// The lines for the machine, if Nix takes no settings from this user and the machine does not have them.
pub(crate) async fn lines_for_machine(settings: &Settings, current: &CurrentNix) -> Option<String> {
    let (machine, trusted) = current.get().await.ok()?;
    if *trusted {
        return None;
    }
    let known: Vec<&str> = ["substituters", "trusted-substituters"]
        .iter()
        .filter_map(|name| machine.get(*name))
        .flat_map(|list| list.split_whitespace())
        .map(|url| url.trim_end_matches('/'))
        .collect();
    let mut wanted = settings.substituter.iter().chain(&settings.extra_substituters);
    if wanted.all(|url| known.contains(&url.trim_end_matches('/'))) {
        return None;
    }
    let conf = settings.caches().join("\n");
    Some(format!(
        "Nix takes no settings from this user, who is not among its `trusted-users`, so this job does not read the cache. \
         Add the user there, or these lines to the nix.conf of the machine, and restart nix-daemon:\n{conf}"
    ))
}

struct Search<'a> {
    inputs: &'a Inputs,
    target: &'a Target,
    state: &'a State,
    current: &'a CurrentNix,
    cache: &'a str,
}

impl Search<'_> {
    /// How Nix gets in: by an entry that is there already, or by a file of ours, which is written.
    async fn password(&self) -> Result<Option<(Netrc, Token)>, String> {
        let url: Url = self.cache.parse().map_err(|_| "its address is none".to_owned())?;
        let host = netrc::host(&url).ok_or("its address has no host")?;
        let (settings, trusted) = self.current.get().await.map_err(|trouble| trouble.0)?;
        let base = settings.get("netrc-file").filter(|file| !file.is_empty());
        let base = base.map_or(MACHINE_NETRC, String::as_str);
        let netrc = Netrc {
            path: self.state.netrc_path(),
            base: base.into(),
            host,
        };
        let base_text = netrc
            .base_text()
            .map_err(|error| format!("the netrc file {base} cannot be read: {error}"));
        if let Some(entry) = base_text
            .as_deref()
            .ok()
            .and_then(|text| netrc::entry(text, &netrc.host))
        {
            if self.answer(&entry.login, &entry.password).await == Some(200) {
                return Ok(None);
            }
            // Ours would come after it, and the first counts.
            if !entry.is_default {
                return Err(format!("the entry for {} in {base} does not open it", netrc.host));
            }
        }
        let of_server = netrc::host(self.target.server_url());
        if of_server.as_ref() != Some(&netrc.host) {
            return Err(format!(
                "it is not on the host of the server, to which alone the token of this job goes: add an entry for {} \
                 to {base}",
                netrc.host
            ));
        }
        if url.scheme() == "http" && !is_loopback(&url) && !self.inputs.allow_http {
            return Err(
                "anybody on the way could read the job's token, since its address begins with http://: use https://, or \
                 set the input `allow-http` to `true`"
                    .to_owned(),
            );
        }
        if !trusted {
            return Err(format!(
                "Nix takes no netrc file from this user, who is not among its `trusted-users`. Add the user there, or \
                 this line to {base}, with a token of the scope `read` (`niks3 tokens create NAME --scope read`), and \
                 the cache to the nix.conf of the machine, and restart nix-daemon:\n\
                 machine {} login {LOGIN} password TOKEN",
                netrc.host
            ));
        }
        let base_text = base_text?;
        let token = self.token().await?;
        netrc
            .write(&base_text, &token.secret)
            .map_err(|error| format!("{} cannot be written: {error}", netrc.path.display()))?;
        Ok(Some((netrc, token)))
    }

    async fn answer(&self, login: &str, password: &str) -> Option<u16> {
        preflight::cache_info(self.target, self.cache, Some((login, password))).await
    }

    /// A token with which the cache can be read.
    async fn token(&self) -> Result<Token, String> {
        let none = || {
            match job::never_gets_a_token() {
            Some(kind) => format!("this job, {kind}, gets no token"),
            None => "this job has no token: add `permissions: { id-token: write, contents: read }` to it, or give the \
                     input `auth-token`"
                .to_owned(),
        }
        };
        let tokens = self
            .target
            .tokens()
            .map_err(|trouble| trouble.0)?
            .ok_or_else(none)?;
        let api = self
            .target
            .api(tokens, preflight::PREFLIGHT_TIMEOUT)
            .map_err(|trouble| trouble.0)?;
        let issued = Token::issue(&api).await.map_err(|error| error.to_string())?;
        let token = issued.ok_or_else(none)?;
        runner::mask(token.secret.expose_secret());
        match self.answer(LOGIN, token.secret.expose_secret()).await {
            Some(200) => Ok(token),
            Some(403) => {
                Err("the server does not let this job read: a rule for it needs the scope `read`".to_owned())
            }
            Some(401) => Err("it does not accept the token of this job".to_owned()),
            Some(status) => Err(format!("it answers HTTP {status} to the token of this job")),
            None => Err("it does not answer".to_owned()),
        }
    }
}
