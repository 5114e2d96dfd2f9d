//! Named tokens: random, known by their hash, good for some scopes until they end or are revoked.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use niks3_catalog::{Catalog, now};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::{AuthError, Grant, Identity, Scope, Scopes, Who};

/// How every named token begins, so that scanners for secrets know one.
const PREFIX: &str = "niks3_";

/// Name of a token: letters, digits, `.`, `_`, `-`; at most 128; not dots alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

impl FromStr for TokenName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let dots = text.bytes().all(|byte| byte == b'.');
        if dots || text.len() > 128 || !text.bytes().all(allowed) {
            return Err(
                "a token's name has 1 to 128 letters, digits, '.', '_' or '-', and not dots alone".into(),
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A new token.
#[must_use]
pub fn generate() -> SecretString {
    let random = rand::random::<[u8; 32]>();
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random);
    format!("{PREFIX}{text}").into()
}

/// What is kept of a token. It is random, so a plain hash says nothing of it.
#[must_use]
pub fn hash(token: &SecretString) -> [u8; 32] {
    Sha256::digest(token.expose_secret()).into()
}

/// Whether a token may be a named one.
pub(super) fn looks_like_one(token: &SecretString) -> bool {
    token.expose_secret().starts_with(PREFIX)
}

/// Whose token that is.
pub(super) async fn identify(catalog: &Catalog, token: &SecretString) -> Result<Identity, AuthError> {
    let Some(row) = catalog.token_by_hash(&hash(token)).await? else {
        return Err(AuthError::invalid(
            "the server does not know this token; it may have been revoked",
        ));
    };
    if let Some(end) = row.expires_at.filter(|end| *end <= now()) {
        return Err(AuthError::invalid(format!(
            "the token {} has expired, {} s ago",
            row.name,
            now().saturating_sub(end)
        )));
    }
    let scopes: Scopes = row
        .scopes
        .split(',')
        .filter_map(|word| word.parse::<Scope>().ok())
        .collect();
    let who = Who::Token { name: row.name };
    let grant = Grant {
        trusted: row.trusted,
        ..Grant::of(scopes)
    };
    Ok(Identity::new(who, grant, row.expires_at))
}
