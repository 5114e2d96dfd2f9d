//! `niks3 doctor`, as typed.

use clap::Args;

/// Look for what is wrong between this machine and its cache.
///
/// Looks at the proxy, the server, the clock, the token and its scopes, Nix and its store, whether Nix reads the cache and
/// trusts its keys, whether the settings of this user count, and the signature of the path that was pushed last. Each problem
/// comes with a way to fix it. Exits with 1 if there is any.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) server: super::Server,
}
