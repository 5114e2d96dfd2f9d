//! Tokens of OpenID Connect providers: whose they are by signature, what they are good for
//! by rules over their claims.

mod claims;
mod config;
mod fetch;
mod issuer;
pub mod jwt;
pub mod keys;
mod rule;

use std::sync::Arc;

use niks3_catalog::now;
use secrecy::{ExposeSecret as _, SecretString};

pub use claims::Claims;
pub use config::{ConfigError, ProviderSettings, Settings};
pub use niks3_nix::glob::Glob;
pub use rule::{Bound, Rule};

use self::issuer::Issuer;
use super::{AuthError, Grant, Identity, Who};

/// Seconds by which clocks may differ.
const LEEWAY: i64 = 60;
/// Most characters of a subject.
const MAX_SUBJECT: usize = 1024;

#[derive(Debug)]
struct Provider {
    name: String,
    audience: String,
    issuer: Arc<Issuer>,
    rules: Vec<Rule>,
}

/// How somebody with an OpenID Connect token is known.
#[derive(Debug, Clone, PartialEq)]
pub struct OidcIdentity {
    /// The provider, as the configuration calls it.
    pub provider: String,
    /// The issuer's name for them.
    pub subject: String,
    /// The rules that admit them.
    pub rules: Vec<String>,
    /// Why other rules do not, with the scopes that these would give.
    pub unmatched: Vec<(super::Scopes, String)>,
    /// What else the token says of them, verified.
    pub claims: Claims,
}

/// The providers whose tokens are accepted.
#[derive(Debug, Default)]
pub struct Oidc {
    providers: Vec<Provider>,
}

impl Oidc {
    /// Takes the configuration. Issuers are asked for nothing yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let client = fetch::client()?;
        let mut issuers: Vec<Arc<Issuer>> = Vec::new();
        let providers = settings.providers.into_iter().map(|provider| {
            let known = issuers.iter().find(|issuer| issuer.url() == provider.issuer);
            let issuer = known.cloned().unwrap_or_else(|| {
                let issuer = Arc::new(Issuer::new(
                    &provider.issuer,
                    settings.allow_insecure,
                    provider.key_refetch,
                    client.clone(),
                ));
                issuers.push(issuer.clone());
                issuer
            });
            Provider {
                name: provider.name,
                audience: provider.audience,
                issuer,
                rules: provider.rules,
            }
        });
        Ok(Self {
            providers: providers.collect(),
        })
    }

    /// The audience that tokens of an issuer have to be for.
    #[must_use]
    pub fn audience(&self, issuer: &str) -> Option<&str> {
        self.providers
            .iter()
            .find(|provider| provider.issuer.url() == issuer)
            .map(|provider| provider.audience.as_str())
    }

    /// Whether a token is one to be checked here.
    #[must_use]
    pub(crate) fn expects(&self, token: &SecretString) -> bool {
        !self.providers.is_empty() && jwt::looks_like_one(token.expose_secret())
    }

    /// Whose token that is, and what the rules give them.
    ///
    /// # Errors
    /// Which check failed.
    pub async fn identify(&self, token: &SecretString) -> Result<Identity, AuthError> {
        let refused = |why: String| AuthError::invalid(format!("token refused: {why}"));
        let token = jwt::parse(token.expose_secret()).map_err(refused)?;
        let claims = Claims::new(token.claims.clone());
        let issuer = claims.text("iss").unwrap_or_default();
        let of_issuer: Vec<&Provider> = self
            .providers
            .iter()
            .filter(|provider| provider.issuer.url() == issuer)
            .collect();
        let [first, ..] = of_issuer.as_slice() else {
            return Err(refused("its issuer is none that this server knows".into()));
        };
        first.issuer.verify(&token).await?;

        let subject = check(&claims, now()).map_err(refused)?;
        let audience = claims.get("aud").cloned().unwrap_or_default();
        let provider = of_issuer
            .iter()
            .find(|provider| claims::any_text(&audience, &|audience| audience == provider.audience));
        let Some(provider) = provider else {
            return Err(refused(format!(
                "its audience is {}, not {}",
                claims::shown(&audience),
                first.audience
            )));
        };
        provider.admit(subject, claims.clone())
    }
}

/// Checks everything about a token but whose it is and for whom; returns its subject.
fn check(claims: &Claims, now: i64) -> Result<String, String> {
    let expires = claims.time("exp")?.ok_or("it has no exp")?;
    if expires.saturating_add(LEEWAY) <= now {
        return Err(format!(
            "it has expired (exp), {} s ago",
            now.saturating_sub(expires)
        ));
    }
    if let Some(begins) = claims.time("nbf")?.filter(|begins| *begins > now + LEEWAY) {
        return Err(format!(
            "it is not valid yet (nbf), for another {} s: compare the clocks",
            begins.saturating_sub(now)
        ));
    }
    let issued = claims.time("iat")?.ok_or("it has no iat")?;
    if issued > now + LEEWAY {
        return Err(format!(
            "it is issued (iat) {} s in the future: compare the clocks",
            issued.saturating_sub(now)
        ));
    }
    let subject = claims.text("sub").filter(|subject| !subject.is_empty());
    let subject = subject.ok_or("it has no sub")?;
    if subject.chars().count() > MAX_SUBJECT || subject.chars().any(char::is_control) {
        return Err("its sub is too long, or holds control characters".into());
    }
    Ok(subject.to_owned())
}

impl Provider {
    /// What the rules together give a token that is otherwise valid.
    fn admit(&self, subject: String, claims: Claims) -> Result<Identity, AuthError> {
        let mut grant: Option<Grant> = None;
        let (mut rules, mut unmatched) = (Vec::new(), Vec::new());
        for rule in &self.rules {
            match rule.check(&claims) {
                Ok(()) => {
                    rules.push(rule.name.clone());
                    grant = Some(match grant {
                        Some(grant) => grant.union(&rule.grant),
                        None => rule.grant.clone(),
                    });
                }
                Err(why) => unmatched.push((rule.grant.scopes, format!("{}: {why}", rule.name))),
            }
        }
        let expires_at = claims.time("exp").ok().flatten();
        let who = OidcIdentity {
            provider: self.name.clone(),
            subject,
            rules,
            unmatched,
            claims,
        };
        match grant {
            Some(grant) => Ok(Identity::new(Who::Oidc(Box::new(who)), grant, expires_at)),
            None => {
                let why: Vec<String> = who.unmatched.into_iter().map(|(_, why)| why).collect();
                Err(AuthError::Forbidden(format!(
                    "the token is valid, but no rule of the provider {} admits it: {}",
                    self.name,
                    why.join("; ")
                )))
            }
        }
    }
}
