//! Client certificates: shown to this server, or to a proxy that it trusts.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use super::oidc::Glob;
use super::{AuthError, Grant, Identity, Presented, Scope, Scopes, Who};

/// Most bytes of a subject.
const MAX_SUBJECT: usize = 4096;

/// The certificate that the other end of a connection has shown, checked against the
/// authorities that are trusted.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its subject, as RFC 4514 writes it.
    pub subject: String,
}

/// How a proxy says which certificate it has checked.
#[derive(Debug, Clone)]
pub struct TrustedHeaders {
    /// Says `SUCCESS` when the certificate was checked.
    pub verified: HeaderName,
    /// The subject.
    pub subject: HeaderName,
    /// Where such a proxy connects from; what others send is not looked at.
    pub proxies: Vec<IpNet>,
}

/// Which certificates are good for what.
#[derive(Debug, Default)]
pub struct CertificateSettings {
    /// Subjects that may push.
    pub push: Vec<String>,
    /// Subjects that may read.
    pub read: Vec<String>,
    /// The proxy, if there is one.
    pub headers: Option<TrustedHeaders>,
}

impl CertificateSettings {
    /// Whose certificate came with a request, if one did.
    pub(super) fn identify(&self, request: Presented<'_>) -> Result<Option<Identity>, AuthError> {
        let of_proxy = match (&self.headers, request.address) {
            (Some(trusted), Some(address)) => trusted.subject(address, request.headers)?,
            _ => None,
        };
        match of_proxy.or_else(|| request.certificate.map(|peer| peer.subject.clone())) {
            Some(subject) => self.admit(subject).map(Some),
            None => Ok(None),
        }
    }

    fn admit(&self, subject: String) -> Result<Identity, AuthError> {
        let mut rules = Vec::new();
        let mut scopes = Scopes::default();
        for (option, patterns, scope) in [
            ("mtls-bound-subject", &self.push, Scope::Push),
            ("mtls-bound-subject-read", &self.read, Scope::Read),
        ] {
            for pattern in patterns {
                if Glob::new(pattern).matches(&subject) {
                    rules.push(format!("{option} {pattern}"));
                    scopes = scopes.union(Scopes::only(scope));
                }
            }
        }
        if scopes.is_empty() {
            return Err(AuthError::Forbidden(format!(
                "the client certificate is valid, but its subject {subject} is none that this server admits"
            )));
        }
        let who = Who::Certificate { subject, rules };
        Ok(Identity::new(who, Grant::of(scopes), None))
    }
}

impl TrustedHeaders {
    /// The subject that a proxy at that address vouches for.
    ///
    /// # Errors
    /// When the proxy says that the certificate is wrong, or is not to be understood.
    pub fn subject(&self, from: IpAddr, headers: &HeaderMap) -> Result<Option<String>, AuthError> {
        let from = from.to_canonical();
        if !self.proxies.iter().any(|network| network.contains(&from)) {
            return Ok(None);
        }
        let verified = single(headers, &self.verified)?;
        // What nginx writes when the client has shown none.
        let Some(verified) = verified.filter(|value| !value.is_empty() && *value != "NONE") else {
            return Ok(None);
        };
        if verified != "SUCCESS" {
            return Err(AuthError::invalid(
                "the proxy says that the client certificate is not valid",
            ));
        }
        let subject = single(headers, &self.subject)?.unwrap_or_default();
        if subject.is_empty() || subject.len() > MAX_SUBJECT {
            return Err(AuthError::invalid(
                "the proxy does not say which subject the client certificate has",
            ));
        }
        Ok(Some(subject.to_owned()))
    }
}

/// The value of a header that is there once at most.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(AuthError::invalid(format!("there are two {name} headers")));
    }
    let text = value.to_str().map(str::trim);
    text.map(Some)
        .map_err(|_| AuthError::invalid(format!("the header {name} is not text")))
}
