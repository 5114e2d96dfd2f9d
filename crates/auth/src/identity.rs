//! Somebody the server knows.

use std::sync::Arc;

use niks3_base::error::Error;

use super::oidc::OidcIdentity;
use super::{Grant, Limits, Scope};

/// How somebody is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Who {
    /// The bearer of the static admin token.
    Admin,
    /// The bearer of a token of an OpenID Connect provider.
    Oidc(Box<OidcIdentity>),
    /// The bearer of a named token.
    Token {
        /// Its name.
        name: String,
    },
    /// Somebody who shows a client certificate.
    Certificate {
        /// Its subject, as RFC 4514 writes it.
        subject: String,
        /// The options that admit it.
        rules: Vec<String>,
    },
}

#[derive(Debug)]
struct Inner {
    who: Who,
    grant: Grant,
    expires_at: Option<i64>,
}

/// Somebody the server knows, and what they may do.
#[derive(Debug, Clone)]
pub struct Identity(Arc<Inner>);

impl Identity {
    /// Somebody with rights, until a Unix time if their proof ends.
    #[must_use]
    pub fn new(who: Who, grant: Grant, expires_at: Option<i64>) -> Self {
        Self(Arc::new(Inner {
            who,
            grant,
            expires_at,
        }))
    }

    /// How they are known.
    #[must_use]
    pub fn who(&self) -> &Who {
        &self.0.who
    }

    /// What they may do.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.0.grant
    }

    /// Unix time at which what proves them ends.
    #[must_use]
    pub fn expires_at(&self) -> Option<i64> {
        self.0.expires_at
    }

    /// A name that is theirs alone and stays the same: what they open belongs to it.
    #[must_use]
    pub fn name(&self) -> String {
        match self.who() {
            Who::Admin => "admin".into(),
            Who::Oidc(oidc) => format!("oidc:{}:{}", oidc.provider, oidc.subject),
            Who::Token { name } => format!("token:{name}"),
            Who::Certificate { subject, .. } => format!("certificate:{subject}"),
        }
    }

    /// Whether they may go on with what belongs to that name.
    #[must_use]
    pub fn owns(&self, owner: &str) -> bool {
        self.grant().scopes.allow(Scope::Admin) || self.name() == owner
    }

    /// How much they may have under way, where the server allows everybody that much. Whoever may
    /// do everything may do that as often as they like.
    #[must_use]
    pub fn limits(&self, of_all: Limits) -> Limits {
        match self.grant().scopes.allow(Scope::Admin) {
            true => Limits::default(),
            false => self.grant().limits.or(of_all),
        }
    }

    /// Lets those through who have the scope.
    ///
    /// # Errors
    /// `MissingScope`, naming the scope, and what of a rule that would give it does not fit.
    pub fn require(&self, scope: Scope) -> Result<(), Error> {
        let scopes = self.grant().scopes;
        if scopes.allow(scope) {
            return Ok(());
        }
        let mut detail = format!("this needs the scope {scope}; {} has {scopes}", self.name());
        if let Who::Oidc(oidc) = self.who() {
            for (_, why) in oidc.unmatched.iter().filter(|(scopes, _)| scopes.allow(scope)) {
                detail = format!("{detail}; {why}");
            }
        }
        Err(Error::missing_scope(scope, detail))
    }

    /// Lets those through whose pins may have that name.
    ///
    /// # Errors
    /// `Forbidden`, naming the pin.
    pub fn require_pin(&self, name: &str) -> Result<(), Error> {
        if self.grant().allows_pin(name) {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "{} may not set the pin {name}: the rule that admits it names others",
            self.name()
        )))
    }
}
