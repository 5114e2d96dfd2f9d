//! Who may see what is only read: whoever has the scope `read`. Browsers, scrapers and Nix know
//! HTTP Basic, so the token may come as its password.

use std::sync::Arc;

use poem::Request;

use super::presented::presented;
use super::problem::Problem;
use crate::app::App;
use crate::auth::{AuthContext, Identity, Scope};
use crate::error::Error;
use crate::metrics::metrics;

/// Lets those in who have the scope `read`.
///
/// # Errors
/// 401 and 403, as the API has them; the first also asks for HTTP Basic.
pub(super) async fn reader(app: &Arc<App>, request: &Request) -> Result<Identity, Problem> {
    let identity = match app.auth.identify(presented(request), AuthContext::Reads).await {
        Ok(identity) => identity,
        Err(refusal) => return Err(Problem::from(Error::from(refusal)).or_basic()),
    };
    identity.require(Scope::Read).inspect_err(|_| {
        tracing::info!(scope = %Scope::Read, "the scope is missing");
        metrics().auth_failure("missing_scope");
    })?;
    Ok(identity)
}
