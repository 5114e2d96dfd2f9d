//! `niks3 use`: settings of Nix for a cache.

mod settings;

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
};

use niks3_client::{Api, ExposeSecret as _, SecretString, TokenProvider, build_http, types::CacheConfig};
use url::Url;

pub(super) use self::settings::NixSettings;
use self::settings::{Cache, Location};
use super::target::{self, Target};
use crate::{Failure, args::use_cache::Use, output::Output};

/// The only scope of a token that lies in a netrc file, which programs send to whoever is at that host.
const NETRC_SCOPE: &str = "read";

pub(super) async fn run(args: Use, output: &Output) -> Result<(), Failure> {
    let target = target::by_name_or_url(&args.target)?;
    let server = target.url.as_str().trim_end_matches('/').to_owned();
    let location = if args.system {
        Location::system()
    } else {
        Location::user()?
    };
    if args.remove {
        let removed = location.remove(&server)?;
        output.info(&if removed {
            format!("removed {server} from {}", location.shown())
        } else {
            format!("{} has nothing of {server}", location.shown())
        });
        return Ok(());
    }
    let options = super::connect_options(args.tls)?;
    let http = build_http(&options).map_err(|error| Failure::Usage(error.to_string()))?;
    let api_of = |tokens: TokenProvider| {
        let policy = super::retry_policy_at_terminal();
        Api::new(&target.url, http.clone(), Arc::new(tokens), policy)
    };
    let api = api_of(TokenProvider::anonymous());
    let config = api
        .call("asking for the cache's configuration", |client| async move {
            client.get_cache_config(None).await
        })
        .await?;
    let (substituter, is_private) = substituter(&api, &config).await?;
    let nix = NixSettings::ask().await;
    let keys = trusted_keys(&config, &args.public_key, &nix, args.print)?;
    let token = if is_private && !args.print {
        let token = token(&target, args.token_file.as_deref())?;
        let api = api_of(TokenProvider::given(&token, "the token")?);
        let caller = api
            .call(
                "asking who you are",
                |client| async move { client.whoami().await },
            )
            .await?;
        if caller.scopes != [NETRC_SCOPE] {
            return Err(Failure::Failed(format!(
                "a token in a netrc file may have no scope but `read`, and {} has {}: make one with `niks3 tokens create NAME \
                 --scope read`, and give it as --token-file FILE",
                caller.identity,
                caller.scopes.join(", ")
            )));
        }
        Some(token)
    } else {
        None
    };
    let cache = Cache {
        server,
        substituter,
        keys,
        token,
    };
    if args.print {
        return print(&cache, is_private, output);
    }
    if let Some(manager) = location.managed_by() {
        return Err(Failure::Failed(format!(
            "{} is managed by {manager}: add there what `niks3 use {} --print` prints",
            location.shown(),
            args.target
        )));
    }
    location.add(&cache, &nix)?;
    output.info(&format!("Nix reads {} ({})", cache.substituter, location.shown()));
    for line in location.what_is_left(&nix) {
        output.info(&line);
    }
    Ok(())
}

/// Where Nix reads the cache, and whether it asks for a token there.
async fn substituter(api: &Api, config: &CacheConfig) -> Result<(Url, bool), Failure> {
    let text = config.substituter.as_deref().unwrap_or(api.shown());
    let url: Url = text.parse().map_err(|error| {
        Failure::Failed(format!(
            "the server names the cache {text:?}, which is no address: {error}"
        ))
    })?;
    let info = format!("{}/nix-cache-info", text.trim_end_matches('/'));
    let answer = api.http_of_others().get(&info).send().await;
    let answer = answer.map_err(|error| {
        Failure::Failed(format!("cannot read {info}: {}", niks3_client::describe(&error)))
    })?;
    match answer.status().as_u16() {
        200 => Ok((url, false)),
        401 | 403 => Ok((url, true)),
        status => Err(Failure::Failed(format!(
            "{info} answers HTTP {status}: start the server with --cache-url, the address at which Nix reads the cache, or with \
             --enable-read-proxy"
        ))),
    }
}

/// The keys that the user trusts: those given, those that Nix trusts already, or those that the user says yes to.
fn trusted_keys(
    config: &CacheConfig,
    given: &[String],
    nix: &NixSettings,
    only_shown: bool,
) -> Result<Vec<String>, Failure> {
    let keys = &config.public_keys;
    if let Some(odd) = keys
        .iter()
        .find(|key| key.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        return Err(Failure::Failed(format!(
            "the server names a key that is none: {odd:?}"
        )));
    }
    if !given.is_empty() {
        if let Some(empty) = given.iter().find(|key| !key.contains(':')) {
            return Err(Failure::Usage(format!(
                "--public-key {empty:?} is not a public key: write NAME:BASE64, as the server prints it when it starts"
            )));
        }
        return match given.iter().find(|key| !keys.contains(key)) {
            Some(key) => Err(Failure::Failed(format!(
                "the server does not sign with {key}; its keys are {}",
                keys.join(" ")
            ))),
            None => Ok(given.to_vec()),
        };
    }
    if only_shown || keys.iter().all(|key| nix.trusts(key)) {
        return Ok(keys.clone());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "Nix does not trust the keys of this cache yet: if they are right, give {}",
            keys.iter()
                .map(|key| format!("--public-key {key}"))
                .collect::<Vec<_>>()
                .join(" ")
        )));
    }
    let mut stderr = io::stderr().lock();
    let _ = write!(
        stderr,
        "Whoever has the secret key can put any program into your store. The cache signs with\n  {}\nTrust it? [y/N] ",
        keys.join("\n  ")
    );
    let _ = stderr.flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(keys.clone())
    } else {
        Err(Failure::Failed(
            "the key is not trusted, and nothing was changed".to_owned(),
        ))
    }
}

fn token(target: &Target, file: Option<&std::path::Path>) -> Result<SecretString, Failure> {
    let file = file.or(target.token_file.as_deref()).ok_or_else(|| {
        Failure::Usage(
            "this cache is private: give --token-file FILE with a token whose only scope is `read`"
                .to_owned(),
        )
    })?;
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::Failed(format!("cannot read the token file {}: {error}", file.display()))
    })?;
    Ok(text.trim().to_owned().into())
}

/// The lines for nix.conf, and for a NixOS or nix-darwin configuration.
fn print(cache: &Cache, is_private: bool, output: &Output) -> Result<(), Failure> {
    let quoted = |values: &[String]| {
        values
            .iter()
            .map(|value| format!("\"{value}\""))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines = vec!["# nix.conf".to_owned()];
    lines.extend(cache.lines());
    if is_private {
        lines.push(format!(
            "# netrc-file: machine {} login niks3 password TOKEN",
            cache.substituter.host_str().unwrap_or_default()
        ));
    }
    lines.extend([
        String::new(),
        "# NixOS, nix-darwin".to_owned(),
        "nix.settings = {".to_owned(),
        format!("  substituters = [ \"{}\" ];", cache.address()),
        format!("  trusted-public-keys = [ {} ];", quoted(&cache.keys)),
        "};".to_owned(),
    ]);
    lines.iter().try_for_each(|line| output.line_out(line))
}

impl Cache {
    /// The netrc entry of a private cache.
    fn netrc_line(&self) -> Option<String> {
        let token = self.token.as_ref()?;
        let entry = settings::netrc_entry(&self.substituter);
        Some(format!("{entry}{}", token.expose_secret()))
    }
}
