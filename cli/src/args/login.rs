//! `niks3 login`, `logout` and `servers`, as typed.

use std::path::PathBuf;

use clap::Args;
use url::Url;

const EXAMPLES: &str = "\
Examples:
  niks3 login work https://niks3.example.com            asks for the token
  niks3 login work https://niks3.example.com < token    reads it from standard input
  niks3 push ./result                                   to the default server
  niks3 push --server work ./result                     to this one

Files:
  ~/.config/niks3/config.toml     the servers
  ~/.config/niks3/tokens/NAME     a token, which only its owner may read";

/// Store a server and its token under a name.
///
/// The token is asked for on a terminal, and read from standard input elsewhere. It is sent to this address alone: another
/// scheme, host, port or path gets none. It is stored only if the server accepts it. The first server that is stored is the
/// default of all commands.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Login {
    /// Name of the server, for `--server NAME`: letters, digits, `_` and `-`.
    #[arg(value_name = "NAME", value_parser = server_name)]
    pub(crate) name: String,
    /// Address of the server, for example https://niks3.example.com.
    #[arg(value_name = "URL", value_parser = super::http_url)]
    pub(crate) url: Url,
    /// Read the token from this file.
    #[arg(long, value_name = "FILE", conflicts_with = "no_token")]
    pub(crate) token_file: Option<PathBuf>,
    /// Store no token: the server admits readers without one, or by a client certificate.
    #[arg(long)]
    pub(crate) no_token: bool,
    /// Make it the default server.
    #[arg(long)]
    pub(crate) default: bool,
    /// Accept http:// to another machine, where everybody on the way can read the token.
    #[arg(long)]
    pub(crate) insecure_http: bool,
    #[command(flatten)]
    pub(crate) tls: super::Tls,
}

/// Forget a server and its token.
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// Name of the server, as `niks3 servers` lists it.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// List the servers that are stored.
#[derive(Debug, Args)]
pub(crate) struct Servers {
    /// Print a JSON list of objects with `name`, `url`, `default` and `token`, which says whether one is stored.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

fn server_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
        return Err("a name has 1 to 64 letters, digits, `_` and `-`".to_owned());
    }
    Ok(text.to_owned())
}
