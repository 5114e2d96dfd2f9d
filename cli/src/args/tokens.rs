//! `niks3 tokens` and `niks3 whoami`, as typed.

use clap::{Args, Subcommand, ValueEnum};

use super::{Age, Server, age};

const EXAMPLES: &str = "\
Examples:
  niks3 tokens create laptop --scope read --expires 90d
  niks3 tokens create ci --scope push,gc > token";

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Tokens {
    Create(CreateToken),
    #[command(visible_alias = "ls")]
    List(ListTokens),
    #[command(visible_alias = "rm")]
    Revoke(RevokeToken),
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Scope {
    /// Read what the cache holds and what is known of it.
    Read,
    /// Put closures into the cache, with pins.
    Push,
    /// Collect garbage.
    Gc,
    /// Everything.
    Admin,
}

/// Create a token and print it on standard output. The server keeps its hash alone: nobody can read it again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CreateToken {
    /// Name: 1 to 128 letters, digits, `.`, `_` and `-`, not dots alone.
    #[arg(value_name = "NAME", value_parser = token_name)]
    pub(crate) name: String,
    /// What it is good for; can be repeated.
    #[arg(long, value_name = "SCOPE", required = true, value_delimiter = ',')]
    pub(crate) scope: Vec<Scope>,
    /// How long it is good, as 90d or 12h [default: until it is revoked].
    #[arg(long, value_name = "DURATION", value_parser = life)]
    pub(crate) expires: Option<Age>,
    /// What is pushed with it need not be verified before it becomes visible, where the server has
    /// --verify-uploads=untrusted.
    #[arg(long)]
    pub(crate) trusted: bool,
    /// Print one JSON object, with the token in it.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// List the tokens, with a header: name, scopes, when each expires, when it was created and by whom.
#[derive(Debug, Args)]
pub(crate) struct ListTokens {
    /// Print a JSON list.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Revoke a token.
#[derive(Debug, Args)]
pub(crate) struct RevokeToken {
    /// Its name.
    #[arg(value_name = "NAME", value_parser = token_name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Say who the server takes the caller for: identity, scopes, end, and the rules that gave them.
#[derive(Debug, Args)]
pub(crate) struct Whoami {
    /// Print one JSON object.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

fn token_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let dots = text.chars().all(|c| c == '.');
    if dots || text.len() > 128 || !text.chars().all(allowed) {
        return Err("a name has 1 to 128 letters, digits, `.`, `_` and `-`, and not dots alone".to_owned());
    }
    Ok(text.to_owned())
}

fn life(text: &str) -> Result<Age, String> {
    match age(text)? {
        age if age.seconds == 0 => Err("a token lives for a second at least".to_owned()),
        age => Ok(age),
    }
}
