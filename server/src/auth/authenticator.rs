//! From what a request brings to who sends it.

use poem::Request;

use super::oidc::Oidc;
use super::{AdminToken, Credentials, Grant, Identity, Refusal, Who};
use crate::http::request_id;
use crate::metrics::metrics;

/// Everything that identities are known by.
#[derive(Debug)]
pub struct Authenticator {
    admin_token: AdminToken,
    oidc: Oidc,
}

impl Authenticator {
    /// Knows the bearer of the admin token, and whom OpenID Connect providers vouch for.
    #[must_use]
    pub const fn new(admin_token: AdminToken, oidc: Oidc) -> Self {
        Self { admin_token, oidc }
    }

    /// The providers whose tokens are accepted.
    #[must_use]
    pub const fn oidc(&self) -> &Oidc {
        &self.oidc
    }

    /// Who sends a request.
    ///
    /// # Errors
    /// When it proves nobody, or that cannot be told now. Refusals of what was brought are logged.
    pub async fn identify(&self, request: &Request) -> Result<Identity, Refusal> {
        let identified = self.look(request).await;
        if let Err(refusal) = &identified {
            metrics().auth_failure(refusal.reason());
        }
        match &identified {
            Ok(identity) => {
                request_id::note_identity(&identity.name());
                tracing::debug!("authenticated");
            }
            Err(Refusal::Invalid(reason) | Refusal::Forbidden(reason)) => {
                tracing::info!(reason, "authentication failed")
            }
            Err(_) => {}
        }
        identified
    }

    async fn look(&self, request: &Request) -> Result<Identity, Refusal> {
        let Some(credentials) = Credentials::bearer(request.headers())? else {
            return Err(Refusal::Nothing);
        };
        if self.admin_token.is(&credentials.token) {
            return Ok(Identity::new(Who::Admin, Grant::everything(), None));
        }
        if self.oidc.expects(&credentials.token) {
            return self.oidc.identify(&credentials.token).await;
        }
        Err(Refusal::invalid("the token is not one that this server knows"))
    }
}
