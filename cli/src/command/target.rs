//! Which server a command is for, and whose token it gets.

use std::{env, path::PathBuf};

use url::Url;

use crate::{
    Failure,
    args::http_url,
    config::{Config, is_same_server},
};

/// A server, as the arguments, the environment or the configuration name it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    /// File with the token that is stored for this very address.
    pub(super) token_file: Option<PathBuf>,
    /// It was chosen by its name, or as the default.
    pub(super) is_by_name: bool,
    /// Some server is stored.
    pub(super) any_stored: bool,
}

/// The server of `--server`, or else of `--server-url` or its variable, or else the default.
pub(super) fn choose(name: Option<&str>, url: Option<Url>) -> Result<Target, Failure> {
    let config = Config::load()?;
    if let (Some(_), Some(url)) = (name, &url)
        && !is_of_environment(url)
    {
        return Err(Failure::Usage(
            "--server and --server-url both name a server: give one of them".to_owned(),
        ));
    }
    let stored = config.servers()?;
    let any_stored = !stored.is_empty();
    if let (None, Some(url)) = (name, url) {
        let same = stored
            .into_iter()
            .find(|server| is_same_server(&server.url, &url));
        return Ok(Target {
            url,
            token_file: same.and_then(|server| server.token_file),
            is_by_name: false,
            any_stored,
        });
    }
    let server = match name {
        Some(name) => config.server(name).map_err(|error| Failure::Usage(error.to_string()))?,
        None => stored.into_iter().find(|server| server.is_default).ok_or_else(|| {
            Failure::Usage(
                "no server: run `niks3 login NAME URL`, give --server-url or --server, or set NIKS3_SERVER_URL"
                    .to_owned(),
            )
        })?,
    };
    Ok(Target {
        url: server.url,
        token_file: server.token_file,
        is_by_name: true,
        any_stored,
    })
}

/// The server of a name or of an address.
pub(super) fn by_name_or_url(text: &str) -> Result<Target, Failure> {
    if text.contains("://") {
        choose(None, Some(http_url(text).map_err(Failure::Usage)?))
    } else {
        choose(Some(text), None)
    }
}

/// Whether a variable says so, and not an argument.
fn is_of_environment(url: &Url) -> bool {
    env::var("NIKS3_SERVER_URL")
        .is_ok_and(|text| text.parse().is_ok_and(|of_variable: Url| of_variable == *url))
}
