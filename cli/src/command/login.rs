//! `niks3 login`, `logout` and `servers`.

use std::{
    io::{self, IsTerminal as _, Read as _},
    sync::Arc,
};

use niks3_client::{Api, SecretString, TokenProvider, build_http};
use serde_json::json;
use url::{Host, Url};

use crate::{
    Failure,
    args::login::{Login, Logout, Servers},
    config::Config,
    output::{Output, table::Table},
};

/// No token is as long.
const MAX_INPUT: u64 = 1 << 20;

pub(super) async fn login(args: Login, output: &Output) -> Result<(), Failure> {
    let url = args.url;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::Usage(
            "URL: the address of a server has no user name and no password".to_owned(),
        ));
    }
    if url.scheme() == "http" && !is_loopback(&url) && !args.insecure_http {
        return Err(Failure::Usage(format!(
            "everybody between here and {} could read the token over http://: use https://, or give --insecure-http",
            url.host_str().unwrap_or_default()
        )));
    }
    let mut config = Config::load()?;
    config.servers()?;
    let options = super::connect_options(args.tls)?;
    let has_certificate = options.client_cert.is_some();
    let http = build_http(&options).map_err(|error| Failure::Usage(error.to_string()))?;
    let token = if args.no_token {
        None
    } else {
        Some(match &args.token_file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                Failure::Failed(format!("cannot read the token file {}: {error}", path.display()))
            })?,
            None => read_token(&url)?,
        })
    };
    let token = token.map(|token| SecretString::from(token.trim().to_owned()));
    let tokens = match &token {
        Some(token) => TokenProvider::given(token, "the token")?,
        None => TokenProvider::anonymous(),
    };
    let api = Api::new(&url, http, Arc::new(tokens), super::retry_policy_at_terminal());
    let identity = if token.is_some() || has_certificate {
        let caller = api
            .call(
                "asking who you are",
                |client| async move { client.whoami().await },
            )
            .await?;
        format!(" as {} (scopes: {})", caller.identity, caller.scopes.join(", "))
    } else {
        let _ = api
            .call("asking for the cache's configuration", |client| async move {
                client.get_cache_config(None).await
            })
            .await?;
        String::new()
    };
    let token = token.as_ref().map(niks3_client::ExposeSecret::expose_secret);
    config.store(&args.name, &url, token, args.default)?;
    output.info(&format!(
        "logged in to {} at {}{identity}",
        args.name,
        api.shown()
    ));
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The token: asked for without echo on a terminal, or all of standard input.
fn read_token(url: &Url) -> Result<String, Failure> {
    let unreadable = |error: io::Error| Failure::Failed(format!("cannot read the token: {error}"));
    if io::stdin().is_terminal() {
        return rpassword::prompt_password(format!("Token for {url}: ")).map_err(unreadable);
    }
    let mut text = String::new();
    io::stdin()
        .take(MAX_INPUT)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.trim().is_empty() {
        return Err(Failure::Usage(
            "no token on standard input: write it there, or give --token-file FILE or --no-token".to_owned(),
        ));
    }
    Ok(text)
}

pub(super) fn logout(args: &Logout, output: &Output) -> Result<(), Failure> {
    let server = Config::load()?.remove(&args.name)?;
    output.info(&format!("forgot {} at {}", server.name, server.url));
    Ok(())
}

pub(super) fn servers(args: &Servers, output: &Output) -> Result<(), Failure> {
    let servers = Config::load()?.servers()?;
    if args.json {
        let all: Vec<_> = servers
            .iter()
            .map(|server| {
                json!({ "name": server.name, "url": server.url, "default": server.is_default,
                        "token": server.token_file.is_some() })
            })
            .collect();
        return output.json(&all);
    }
    if servers.is_empty() {
        output.info("no server is stored; `niks3 login NAME URL` stores one");
        return Ok(());
    }
    let mut table = Table::new(["NAME", "URL", "TOKEN", "DEFAULT"]);
    for server in servers {
        table.row([
            server.name,
            server.url.as_str().trim_end_matches('/').to_owned(),
            if server.token_file.is_some() {
                "stored"
            } else {
                "-"
            }
            .to_owned(),
            if server.is_default { "yes" } else { "" }.to_owned(),
        ]);
    }
    table.print()
}
