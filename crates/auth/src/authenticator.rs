//! From what a request brings to who sends it.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderMap;
use niks3_base::metrics::metrics;
use niks3_base::telemetry;
use niks3_catalog::Catalog;

use super::certificates::{CertificateSettings, Peer};
use super::oidc::Oidc;
use super::{AdminToken, AuthError, Credentials, FailureLimit, Grant, Identity, Who, named_token};

/// Where a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthContext {
    /// The API: no credentials that a browser would send by itself.
    Api,
    /// What is only read; browsers, scrapers and netrc files know HTTP Basic.
    Reads,
}

/// What a request shows of who sends it.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Where its connection comes from, if that is known.
    pub address: Option<IpAddr>,
    /// The client certificate of its connection, if there is one.
    pub certificate: Option<&'a Peer>,
}

/// Everything that identities are known by.
#[derive(Debug)]
pub struct Authenticator {
    admin_token: RwLock<AdminToken>,
    oidc: RwLock<Arc<Oidc>>,
    catalog: Catalog,
    certificates: CertificateSettings,
    failures: FailureLimit,
}

impl Authenticator {
    /// Knows the bearers of the admin token and of named tokens, whom OpenID Connect providers
    /// vouch for, and who shows a client certificate.
    #[must_use]
    pub fn new(
        admin_token: AdminToken,
        oidc: Oidc,
        catalog: Catalog,
        certificates: CertificateSettings,
        failures: FailureLimit,
    ) -> Self {
        Self {
            admin_token: RwLock::new(admin_token),
            oidc: RwLock::new(Arc::new(oidc)),
            catalog,
            certificates,
            failures,
        }
    }

    /// Whether an address is one of `--trusted-proxy`.
    #[must_use]
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        self.failures.is_proxy(peer)
    }

    /// The providers whose tokens are accepted.
    #[must_use]
    pub fn oidc(&self) -> Arc<Oidc> {
        self.oidc.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Accepts another admin token from now on, and not the one before.
    pub fn replace_admin_token(&self, token: AdminToken) {
        *self.admin_token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Accepts tokens of these providers from now on.
    pub fn replace_oidc(&self, oidc: Oidc) {
        *self.oidc.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(oidc);
    }

    /// Who sends a request.
    ///
    /// # Errors
    /// When it proves nobody, or that cannot be told now. Refusals of what was brought are logged.
    pub async fn identify(
        &self,
        request: Presented<'_>,
        context: AuthContext,
    ) -> Result<Identity, AuthError> {
        let identified = match self.look(request, context).await {
            Err(AuthError::Invalid(why)) => Err(match self.failures.count(request) {
                Some(wait) => AuthError::TooMany(wait),
                None => AuthError::Invalid(why),
            }),
            identified => identified,
        };
        if let Err(refusal) = &identified {
            metrics().auth_failure(refusal.reason());
        }
        match &identified {
            Ok(identity) => {
                telemetry::note_identity(&identity.name());
                tracing::debug!("authenticated");
            }
            Err(AuthError::Invalid(reason) | AuthError::Forbidden(reason)) => {
                tracing::info!(reason, "authentication failed")
            }
            // Not a line for each: whoever floods the server would flood its log.
            Err(_) => {}
        }
        identified
    }

    async fn look(&self, request: Presented<'_>, context: AuthContext) -> Result<Identity, AuthError> {
        let Some(credentials) = Credentials::from_headers(request.headers, context)? else {
            return self.certificates.identify(request)?.ok_or(AuthError::Nothing);
        };
        let is_admin = self
            .admin_token
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is(&credentials.token);
        if is_admin {
            return Ok(Identity::new(Who::Admin, Grant::everything(), None));
        }
        if named_token::looks_like_one(&credentials.token) {
            return named_token::identify(&self.catalog, &credentials.token).await;
        }
        let oidc = self.oidc();
        if oidc.expects(&credentials.token) {
            return oidc.identify(&credentials.token).await;
        }
        Err(AuthError::invalid("the server does not know this token"))
    }
}
