//! `niks3 use`, as typed.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  niks3 use work                                for this user, the cache of a server that `niks3 login` has stored
  niks3 use https://niks3.example.com --public-key cache-1:BASE64
  sudo niks3 use https://niks3.example.com --system
  niks3 use work --print                        the lines, for a configuration that is kept elsewhere
  niks3 use work --remove                       undo it

Files:
  ~/.config/nix/nix.conf, ~/.config/nix/netrc   of this user
  /etc/nix/niks3.conf, /etc/nix/netrc           with --system; nix.conf includes the first";

/// Make Nix read a cache.
///
/// Adds the cache and its public keys to the settings of Nix, for this user or for all. It shows the keys and asks before it
/// trusts new ones. A private cache needs a token whose only scope is `read`, which goes into a netrc file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Use {
    /// Server that `niks3 login` has stored, or the address of a server.
    #[arg(value_name = "NAME|URL")]
    pub(crate) target: String,
    /// For all users of this machine, in /etc/nix.
    #[arg(long)]
    pub(crate) system: bool,
    /// Print the lines instead of writing them.
    #[arg(long, conflicts_with_all = ["system", "remove"])]
    pub(crate) print: bool,
    /// Remove what was added for this server.
    #[arg(long)]
    pub(crate) remove: bool,
    /// Trust this key without asking, and no other; can be repeated.
    #[arg(long, value_name = "KEY")]
    pub(crate) public_key: Vec<String>,
    /// File with a token whose only scope is `read` [default: the stored one, if that is such a token].
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: super::Tls,
}
