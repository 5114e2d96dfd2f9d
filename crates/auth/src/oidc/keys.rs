//! The public keys of an issuer, as its key document (RFC 7517) has them.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::jwt::{ALGORITHMS, Unverified};

/// Most keys of an issuer.
const MAX_KEYS: usize = 100;

struct Key {
    id: Option<String>,
    /// What it can be used with.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Keys to check signatures with.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "KeySet({} keys)", self.keys.len())
    }
}

/// What a set of keys says of a signature.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right.
    Right,
    /// It is wrong, or by a key that is not for that algorithm; why.
    Wrong(&'static str),
    /// The set does not have the key.
    UnknownKey,
}

impl KeySet {
    /// Reads a key document. Keys of kinds that nobody here checks with are left out.
    ///
    /// # Errors
    /// When it is not a key document, or has no usable key.
    pub fn parse(document: &[u8]) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(document)
            .map_err(|_| "its key document is not JSON with a list `keys`".to_owned())?;
        if document.keys.len() > MAX_KEYS {
            return Err(format!("its key document has more than {MAX_KEYS} keys"));
        }
        let keys: Vec<Key> = document.keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err("its key document has no key that signatures can be checked with".into());
        }
        Ok(Self { keys })
    }

    /// Checks the signature of a token. One that names no key is checked when only one
    /// key comes into question.
    #[must_use]
    pub fn verify(&self, token: &Unverified<'_>) -> Verdict {
        let named: Vec<&Key> = match &token.key_id {
            Some(id) => self
                .keys
                .iter()
                .filter(|key| key.id.as_ref() == Some(id))
                .collect(),
            None => self.keys.iter().collect(),
        };
        if named.is_empty() {
            return Verdict::UnknownKey;
        }
        let fit: Vec<&Key> = named
            .into_iter()
            .filter(|key| key.algorithms.contains(&token.algorithm))
            .collect();
        match (fit.as_slice(), &token.key_id) {
            ([], _) => Verdict::Wrong("its key is not one for its algorithm"),
            ([_, _, ..], None) => Verdict::Wrong("it does not say which of the issuer's keys signed it"),
            (keys, _) => {
                let message = token.message.as_bytes();
                let right = keys.iter().any(|key| {
                    jsonwebtoken::crypto::verify(token.signature, message, &key.key, token.algorithm)
                        .unwrap_or(false)
                });
                if right {
                    Verdict::Right
                } else {
                    Verdict::Wrong("its signature is wrong")
                }
            }
        }
    }
}

fn usable(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let common = &jwk.common;
    if matches!(&common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
        return None;
    }
    if matches!(&common.key_operations, Some(operations) if !operations.contains(&KeyOperations::Verify)) {
        return None;
    }
    let of_kind: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        _ => return None,
    };
    let algorithms: Vec<Algorithm> = match common.key_algorithm {
        None => of_kind.to_vec(),
        Some(said) => of_kind
            .iter()
            .copied()
            .filter(|algorithm| names(said, *algorithm))
            .collect(),
    };
    (!algorithms.is_empty()).then_some(())?;
    Some(Key {
        id: common.key_id.clone(),
        algorithms,
        key: DecodingKey::from_jwk(&jwk).ok()?,
    })
}

/// Whether a key that says it is for `said` is for that algorithm.
fn names(said: KeyAlgorithm, algorithm: Algorithm) -> bool {
    ALGORITHMS
        .iter()
        .any(|(name, other)| *other == algorithm && said.to_string() == *name)
}
