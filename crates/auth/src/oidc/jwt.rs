//! A JSON web token in its compact form, taken apart and not believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A token whose signature nobody has checked yet.
#[derive(Debug)]
pub struct Unverified<'a> {
    /// What is signed.
    pub message: &'a str,
    /// The signature, in base64.
    pub signature: &'a str,
    /// The algorithm that the token names; one of those that [`ALGORITHMS`] permits.
    pub algorithm: Algorithm,
    /// The key that the token names.
    pub key_id: Option<String>,
    /// What it claims.
    pub claims: Map<String, Value>,
}

/// Algorithms that a token may name: asymmetric ones, of which the key decides.
pub const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
    b64: Option<Value>,
    #[serde(default)]
    typ: Option<String>,
}

/// Whether a text has the form of a token of three parts.
#[must_use]
pub(crate) fn looks_like_one(text: &str) -> bool {
    text.starts_with("ey") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Takes a token apart.
///
/// # Errors
/// What about its form is wrong; the text shows nothing of the token.
pub fn parse(token: &str) -> Result<Unverified<'_>, String> {
    let parts = token
        .rsplit_once('.')
        .and_then(|(message, signature)| Some((message, message.split_once('.')?, signature)));
    let Some((message, (header, payload), signature)) = parts else {
        return Err("it does not have three parts".into());
    };
    let header: Header =
        decode(header).ok_or("its header is not a JSON object with `alg` in URL-safe base64")?;
    if header.crit.is_some() || header.b64.is_some() {
        return Err("its header asks for extensions".into());
    }
    if header
        .typ
        .as_deref()
        .is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt"))
    {
        return Err("its header says that it is of another type than JWT".into());
    }
    let algorithm = ALGORITHMS
        .into_iter()
        .find_map(|(name, algorithm)| (name == header.alg).then_some(algorithm))
        .ok_or("its algorithm is not an asymmetric one that this server accepts")?;
    let claims = decode(payload).ok_or("its payload is not a JSON object in URL-safe base64")?;
    Ok(Unverified {
        message,
        signature,
        algorithm,
        key_id: header.kid,
        claims,
    })
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
