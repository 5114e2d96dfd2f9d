//! One module for each command, and what they share.

mod closures;
mod contents;
mod doctor;
mod fsck;
mod gc;
mod hook;
mod info;
mod login;
mod manual;
mod names;
mod pins;
mod push;
mod retention;
mod runs;
mod target;
mod task;
mod tokens;
mod use_cache;
mod watch_store;
mod whoami;

use std::{path::PathBuf, sync::Arc, time::Duration};

use niks3_client::{
    Api, ConnectOptions, HttpError, Pem, RetryPolicy, TokenOptions, TokenProvider, build_http,
};

use crate::{
    Failure,
    args::{Args, Command, Server, Tls},
    output::Output,
};

pub(crate) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    match args.command {
        Command::Push(push) => push::run(push, output).await,
        Command::Gc(gc) => gc::run(gc, output).await,
        Command::Fsck(fsck) => fsck::run(fsck, output).await,
        Command::Pins(pins) => pins::run(pins, output).await,
        Command::Runs(runs) => runs::run(runs, output).await,
        Command::Closures(closures) => closures::run(closures, output).await,
        Command::Retention(retention) => retention::run(retention, output).await,
        Command::Du(args) => retention::du(args, output).await,
        Command::Ls(args) => closures::ls(args, output).await,
        Command::Info(args) => info::run(args, output).await,
        Command::Tokens(tokens) => tokens::run(tokens, output).await,
        Command::Whoami(args) => whoami::run(args, output).await,
        Command::Login(args) => login::login(args, output).await,
        Command::Logout(args) => login::logout(&args, output),
        Command::Servers(args) => login::servers(&args, output),
        Command::Use(args) => use_cache::run(args, output).await,
        Command::Doctor(args) => doctor::run(args, output).await,
        Command::Version => {
            let command = <Args as clap::CommandFactory>::command();
            output.line_out(&format!("niks3 {}", command.get_version().unwrap_or_default()))
        }
        Command::Hook(hook) => hook::run(hook, output).await,
        Command::WatchStore(args) => watch_store::run(*args, output).await,
        Command::Names { kind } => names::list(kind),
        Command::Completions { shell } => manual::completions(shell),
        Command::Manual { directory } => manual::pages(&directory),
    }
}

/// The server that the arguments name. Where somebody waits at a terminal, an address where nobody answers is given up at
/// once: most likely it is wrong.
fn connect(server: Server) -> Result<Api, Failure> {
    let first_contact = retry_policy_at_terminal().first_contact;
    connect_within(server, first_contact, false)
}

/// How requests are tried again where somebody may wait for the answer.
fn retry_policy_at_terminal() -> RetryPolicy {
    let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    let first_contact = if in_ci {
        RetryPolicy::default().first_contact
    } else {
        RetryPolicy::BRIEF_CONTACT
    };
    RetryPolicy {
        first_contact,
        ..RetryPolicy::default()
    }
}

/// The same for a service, whose server may start at the same time.
fn connect_patiently(server: Server) -> Result<Api, Failure> {
    connect_within(server, RetryPolicy::default().first_contact, false)
}

/// The same, and nobody in particular if there is no token.
fn connect_even_without_token(server: Server) -> Result<Api, Failure> {
    connect_within(server, retry_policy_at_terminal().first_contact, true)
}

fn connect_within(server: Server, first_contact: Duration, without_token: bool) -> Result<Api, Failure> {
    let target = target::choose(server.server.as_deref(), server.server_url)?;
    if server.auth_token.is_some() {
        tracing::warn!(
            "--auth-token is obsolete, since other users of this machine can see it: give --auth-token-path, or run `niks3 login`"
        );
    }
    let options = connect_options(server.tls)?;
    let has_certificate = options.client_cert.is_some();
    let http = build_http(&options).map_err(|error| Failure::Usage(error.to_string()))?;
    let tokens = TokenProvider::new(TokenOptions {
        script: server.auth_token_script,
        path: server.auth_token_path,
        given: server.auth_token.map(Into::into),
        stored: target.token_file,
        stored_first: target.is_by_name,
        no_default_file: target.any_stored,
        audience: None,
        optional: has_certificate || without_token,
    })?;
    let policy = RetryPolicy {
        first_contact,
        max_elapsed: Duration::from_secs(server.retry_for.seconds),
        ..RetryPolicy::default()
    };
    Ok(Api::new(&target.url, http, Arc::new(tokens), policy))
}

fn connect_options(tls: Tls) -> Result<ConnectOptions, Failure> {
    let usage = |error: HttpError| Failure::Usage(error.to_string());
    if tls.client_cert.is_some() != tls.client_key.is_some() {
        return Err(usage(HttpError::HalfIdentity));
    }
    let pem = |option, path: Option<PathBuf>| {
        path.map(|path| Pem::read(option, &path))
            .transpose()
            .map_err(usage)
    };
    Ok(ConnectOptions {
        client_cert: pem("--client-cert", tls.client_cert)?,
        client_key: pem("--client-key", tls.client_key)?,
        ca_cert: pem("--ca-cert", tls.ca_cert)?,
    })
}
