//! Signatures: `NAME:BASE64` of an Ed25519 key or signature.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

/// A public key, as in `trusted-public-keys`.
#[derive(Clone, Debug)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a public key: expected NAME:BASE64");
        let (name, base64) = text.trim().split_once(':').ok_or_else(wrong)?;
        let bytes = STANDARD.decode(base64).map_err(|_| wrong())?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| wrong())?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| wrong())?;
        if name.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, STANDARD.encode(self.key.as_bytes()))
    }
}

/// What is wrong with the signatures of a text: each has to be well formed and to appear once, each by a known key
/// has to be valid, and there has to be one of those. Signatures by unknown keys may be anything.
pub fn flaws(keys: &[PublicKey], text: &str, signatures: &[String]) -> Vec<String> {
    let mut flaws = Vec::new();
    let mut valid = 0;
    for (place, signature) in signatures.iter().enumerate() {
        if signatures[..place].contains(signature) {
            flaws.push(format!("the signature {signature} appears twice"));
            continue;
        }
        let parsed = signature
            .split_once(':')
            .and_then(|(name, base64)| Some((name, STANDARD.decode(base64).ok()?)))
            .and_then(|(name, bytes)| Some((name, <[u8; 64]>::try_from(bytes).ok()?)));
        let Some((name, bytes)) = parsed.filter(|(name, _)| !name.is_empty()) else {
            flaws.push(format!("'{signature}' is not a signature"));
            continue;
        };
        let signature = Signature::from_bytes(&bytes);
        // Two keys may have one name while one replaces the other.
        let mut named = keys.iter().filter(|key| key.name == name).peekable();
        if named.peek().is_none() {
            continue;
        }
        if named.any(|key| key.key.verify_strict(text.as_bytes(), &signature).is_ok()) {
            valid += 1;
        } else {
            flaws.push(format!("the signature by {name} is invalid"));
        }
    }
    if valid == 0 && flaws.is_empty() && !keys.is_empty() {
        flaws.push("no signature by a trusted key".to_owned());
    }
    flaws
}
