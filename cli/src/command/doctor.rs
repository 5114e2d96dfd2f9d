//! `niks3 doctor`: what stands between this machine and its cache, and how to remove it.

use std::{env, time::Duration};

use chrono::{DateTime, Utc};
use niks3_client::{Api, describe, types::CacheConfig};
use niks3_nix::{
    narinfo::NarInfo,
    signature::PublicKey,
    store_path::{StoreDir, StorePath},
};
use niks3_push::LocalStore;

use super::use_cache::NixSettings;
use crate::{Failure, args::doctor::Doctor, output::Output};

/// Tokens and signed requests are refused when clocks differ by more.
const MAX_CLOCK_DIFFERENCE: chrono::TimeDelta = chrono::TimeDelta::seconds(60);
/// A cache that does not answer within this time is as good as none.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How something is.
enum Finding {
    Good(String),
    /// What is wrong, and how to fix it.
    Bad(String, String),
    /// What cannot be looked at, and why.
    Skipped(String),
}
use Finding::{Bad, Good, Skipped};

pub(super) async fn run(args: Doctor, output: &Output) -> Result<(), Failure> {
    let api = super::connect_even_without_token(args.server)?;
    let mut findings = vec![("proxy", proxy(&api))];
    let config = api
        .call("asking for the cache's configuration", |client| async move {
            client.get_cache_config(None).await
        })
        .await;
    match config {
        Err(error) => findings.push((
            "server",
            Bad(
                error.to_string(),
                "check the address, and that niks3-server runs there".to_owned(),
            ),
        )),
        Ok(config) => {
            let versions = format!(
                "{} answers, protocol {} to {}",
                api.shown(),
                config.protocol_min,
                config.protocol_max
            );
            findings.push(("server", Good(versions)));
            findings.push(("clock", clock(&api).await));
            findings.push(("token", token(&api).await));
            let nix = NixSettings::ask().await;
            findings.push(("Nix", version_of_nix(&config).await));
            let cache = config
                .substituter
                .clone()
                .unwrap_or_else(|| api.shown().to_owned());
            findings.push(("substituter", substituter(&nix, &cache)));
            findings.push(("public key", public_key(&nix, &config)));
            findings.push(("trusted user", trusted_user(&nix)));
            findings.push(("signature", signature(&api, &config, &cache).await));
        }
    }
    let mut bad = 0;
    for (what, finding) in &findings {
        match finding {
            Good(text) => output.line_out(&format!("ok       {what}: {text}"))?,
            Skipped(text) => output.line_out(&format!("skipped  {what}: {text}"))?,
            Bad(text, fix) => {
                bad += 1;
                output.line_out(&format!("problem  {what}: {text}"))?;
                output.line_out(&format!("         to fix: {fix}"))?;
            }
        }
    }
    match bad {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 problem".to_owned())),
        count => Err(Failure::Failed(format!("{count} problems"))),
    }
}

fn proxy(api: &Api) -> Finding {
    let is_https = api.base().starts_with("https://");
    let names = if is_https {
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    } else {
        ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    };
    let value = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    match names.iter().find_map(|name| Some((*name, value(name)?))) {
        None => Good("no proxy is set".to_owned()),
        Some((name, proxy)) => {
            let excepted = value("NO_PROXY")
                .or_else(|| value("no_proxy"))
                .unwrap_or_else(|| "nothing".to_owned());
            let shown = niks3_client::shown_address(&proxy);
            Good(format!(
                "{name} is {shown}, for all hosts but {excepted} (NO_PROXY)"
            ))
        }
    }
}

async fn clock(api: &Api) -> Finding {
    let asked = api
        .http()
        .get(format!("{}/health", api.base()))
        .timeout(TIMEOUT)
        .send()
        .await;
    let date = asked.ok().and_then(|answer| {
        let date = answer.headers().get("date")?.to_str().ok()?.to_owned();
        DateTime::parse_from_rfc2822(&date).ok()
    });
    let Some(date) = date else {
        return Skipped("the server does not say what time it is".to_owned());
    };
    let difference = Utc::now() - date.with_timezone(&Utc);
    if difference.abs() <= MAX_CLOCK_DIFFERENCE {
        return Good("differs by less than a minute from that of the server".to_owned());
    }
    let seconds = difference.num_seconds();
    let side = if seconds > 0 { "ahead of" } else { "behind" };
    Bad(
        format!("{} s {side} that of the server", seconds.abs()),
        "let both keep their clocks by NTP, as systemd-timesyncd does".to_owned(),
    )
}

async fn token(api: &Api) -> Finding {
    if api.is_anonymous() {
        return Skipped(
            "there is none; reading a public cache needs none, and `niks3 login NAME URL` stores one for pushes".to_owned(),
        );
    }
    let asked = api
        .call(
            "asking who you are",
            |client| async move { client.whoami().await },
        )
        .await;
    match asked {
        Ok(caller) => {
            let expires = caller.expires_at.map_or_else(
                || "never expires".to_owned(),
                |end| format!("expires {}", crate::output::time(end)),
            );
            Good(format!(
                "{}, scopes {}, {expires}",
                caller.identity,
                caller.scopes.join(", ")
            ))
        }
        Err(error) => Bad(
            error.to_string(),
            "get a token with `niks3 tokens create`, and store it with `niks3 login NAME URL`".to_owned(),
        ),
    }
}

async fn version_of_nix(config: &CacheConfig) -> Finding {
    let asked = tokio::process::Command::new(niks3_push::nix_program("nix"))
        .arg("--version")
        .output()
        .await;
    let version = match asked {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(_) => return Bad("`nix --version` fails".to_owned(), "reinstall Nix".to_owned()),
        Err(error) => {
            return Bad(
                format!("cannot run `nix`: {error}"),
                "install Nix, or add it to PATH: /nix/var/nix/profiles/default/bin".to_owned(),
            );
        }
    };
    match LocalStore::from_environment() {
        Ok(store) if store.store_dir().as_str() != config.store_dir => Bad(
            format!(
                "the store is {}, and the cache is for {}",
                store.store_dir(),
                config.store_dir
            ),
            "use a server that was started with this --store-dir".to_owned(),
        ),
        Ok(store) => Good(format!("{version}, store {}", store.store_dir())),
        Err(error) => Bad(error.to_string(), "check NIX_STORE_DIR and NIX_REMOTE".to_owned()),
    }
}

fn substituter(nix: &NixSettings, cache: &str) -> Finding {
    let is_it = |known: &str| known.trim_end_matches('/') == cache.trim_end_matches('/');
    if nix.words("substituters").any(is_it) {
        Good(format!("Nix reads {cache}"))
    } else {
        Bad(
            format!("Nix does not read {cache}"),
            "niks3 use NAME, or add it to extra-substituters in nix.conf".to_owned(),
        )
    }
}

fn public_key(nix: &NixSettings, config: &CacheConfig) -> Finding {
    let unknown: Vec<&str> = config
        .public_keys
        .iter()
        .map(String::as_str)
        .filter(|key| !nix.trusts(key))
        .collect();
    if unknown.is_empty() {
        Good("Nix trusts every key of the cache".to_owned())
    } else {
        Bad(
            format!("Nix does not trust {}", unknown.join(" ")),
            "niks3 use NAME, or add it to extra-trusted-public-keys in nix.conf".to_owned(),
        )
    }
}

fn trusted_user(nix: &NixSettings) -> Finding {
    if nix.trusts_caller() {
        Good("the settings of this user count".to_owned())
    } else {
        Bad(
            "the daemon of Nix ignores substituters in the settings of this user".to_owned(),
            "add the user to trusted-users in /etc/nix/nix.conf and restart nix-daemon, or `sudo niks3 use URL --system`"
                .to_owned(),
        )
    }
}

/// Whether the cache serves the path that was pushed last, signed by a key that the server names.
async fn signature(api: &Api, config: &CacheConfig, cache: &str) -> Finding {
    let listed = api
        .call("listing the closures", |client| async move {
            client
                .list_closures(None, Some(1), None, None, None, None, None, None)
                .await
        })
        .await;
    let path = match listed {
        Ok(page) => page.closures.into_iter().next().map(|closure| closure.path),
        Err(_) => {
            return Skipped("a token with the scope `read` would tell which paths there are".to_owned());
        }
    };
    let Some(path) = path else {
        return Skipped("nothing was pushed yet".to_owned());
    };
    let fix = || "run `niks3 fsck --repair`, or ask whoever runs the server to".to_owned();
    let base = path.rsplit('/').next().unwrap_or(&path);
    let Ok(parsed) = base.parse::<StorePath>() else {
        return Bad(format!("the server names {path:?}"), fix());
    };
    let url = format!("{}/{}.narinfo", cache.trim_end_matches('/'), parsed.hash_part());
    let text = async {
        let answer = api.http_of_others().get(&url).timeout(TIMEOUT).send().await?;
        answer.error_for_status()?.text().await
    };
    let text = match text.await {
        Ok(text) => text,
        Err(error) if error.status().is_some_and(|status| status.as_u16() == 401) => {
            return Skipped("the cache is private: `niks3 use` lets Nix read it".to_owned());
        }
        Err(error) => return Bad(format!("cannot read {url}: {}", describe(&error)), fix()),
    };
    let narinfo = config
        .store_dir
        .parse::<StoreDir>()
        .map_err(|error| error.to_string())
        .and_then(|store_dir| {
            let narinfo = NarInfo::parse(&store_dir, &text).map_err(|error| error.to_string())?;
            Ok((narinfo.fingerprint(&store_dir), narinfo.sigs))
        });
    match narinfo {
        Err(error) => Bad(format!("{url}: {error}"), fix()),
        Ok((fingerprint, signatures)) => {
            let keys = config
                .public_keys
                .iter()
                .filter_map(|key| key.parse::<PublicKey>().ok());
            let is_signed = keys.into_iter().any(|key| {
                signatures
                    .iter()
                    .any(|signature| key.verify(fingerprint.as_bytes(), signature))
            });
            if is_signed {
                Good(format!("{base} is signed by a key of the cache"))
            } else {
                Bad(format!("{base} is not signed by a key of the cache"), fix())
            }
        }
    }
}
