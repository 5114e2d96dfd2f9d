//! From what a request brings to who sends it.

use poem::Request;

use super::{AdminToken, Credentials, Grant, Identity, Refusal, Who};

/// Everything that identities are known by.
#[derive(Debug)]
pub struct Authenticator {
    admin_token: AdminToken,
}

impl Authenticator {
    /// Knows the bearer of the admin token.
    #[must_use]
    pub fn new(admin_token: AdminToken) -> Self {
        Self { admin_token }
    }

    /// Who sends a request.
    ///
    /// # Errors
    /// When it proves nobody, or that cannot be told now. Refusals of what was brought are logged.
    pub async fn identify(&self, request: &Request) -> Result<Identity, Refusal> {
        let identified = self.look(request).await;
        match &identified {
            Ok(identity) => tracing::debug!(identity = identity.name(), "authenticated"),
            Err(Refusal::Invalid(reason)) => tracing::info!(reason, "authentication failed"),
            Err(_) => {}
        }
        identified
    }

    #[expect(clippy::unused_async, reason = "other kinds of tokens ask the database")]
    async fn look(&self, request: &Request) -> Result<Identity, Refusal> {
        let Some(credentials) = Credentials::bearer(request.headers())? else {
            return Err(Refusal::Nothing);
        };
        if self.admin_token.is(&credentials.token) {
            return Ok(Identity::new(Who::Admin, Grant::everything()));
        }
        Err(Refusal::invalid("the token is not one that this server knows"))
    }
}
