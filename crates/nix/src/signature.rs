//! Ed25519 keys and signatures, written `name:base64` as `nix key generate-secret` writes them.

use std::{cmp::Ordering, fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::{Zeroize as _, Zeroizing};

use crate::echo::echo;

const MAX_NAME_LEN: usize = 256;

/// Why a text is not a key or signature. Never quotes what may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No colon between name and base64.
    #[error("a {what} is written 'name:base64', and there is no ':'")]
    NoColon {
        /// What was to be read.
        what: &'static str,
    },
    /// An unusable key name.
    #[error(
        "the key name '{0}' is not usable: it must have 1 to 256 bytes, no ':', spaces or control characters"
    )]
    Name(String),
    /// What follows the colon is not base64.
    #[error("the {what} of '{name}' is not base64")]
    Base64 {
        /// What was to be read.
        what: &'static str,
        /// The key name.
        name: String,
    },
    /// Not the number of bytes that this has.
    #[error("the {what} of '{name}' has {got} bytes instead of {expected}")]
    Length {
        /// What was to be read.
        what: &'static str,
        /// The key name.
        name: String,
        /// The length that was found.
        got: usize,
        /// The length, or lengths, that it must have.
        expected: &'static str,
    },
    /// Bytes that are not a point of the curve.
    #[error("the public key of '{0}' is not an ed25519 key")]
    NotAKey(String),
    /// A public key where a secret one is needed.
    #[error("the key of '{0}' has 32 bytes, as a public key: the secret one has 64")]
    Public(String),
    /// The public half of a secret key does not belong to its secret half.
    #[error("the halves of the secret key of '{0}' do not belong together")]
    Mismatch(String),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct KeyName(Box<str>);

impl KeyName {
    fn new(text: &str) -> Result<Self, KeyError> {
        let usable = !text.is_empty()
            && text.len() <= MAX_NAME_LEN
            && !text.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control());
        if usable {
            Ok(Self(text.into()))
        } else {
            Err(KeyError::Name(echo(text)))
        }
    }
}

fn parse_parts(what: &'static str, text: &str) -> Result<(KeyName, Zeroizing<Vec<u8>>), KeyError> {
    let (name, encoded) = text.split_once(':').ok_or(KeyError::NoColon { what })?;
    let name = KeyName::new(name)?;
    let wrong = || KeyError::Base64 {
        what,
        name: echo(&name.0),
    };
    if encoded.len() > 128 {
        return Err(wrong());
    }
    let bytes = Zeroizing::new(BASE64.decode(encoded).map_err(|_| wrong())?);
    Ok((name, bytes))
}

fn wrong_length(what: &'static str, name: &KeyName, got: usize, expected: &'static str) -> KeyError {
    KeyError::Length {
        what,
        name: echo(&name.0),
        got,
        expected,
    }
}

/// A key that signs. Not shown by `Debug`, and wiped from memory when dropped.
#[derive(Clone)]
pub struct SecretKey {
    name: KeyName,
    key: SigningKey,
}

impl SecretKey {
    /// The key with this name that follows from 32 random bytes.
    pub fn generate(name: &str, mut random: [u8; 32]) -> Result<Self, KeyError> {
        let name = KeyName::new(name)?;
        let key = SigningKey::from_bytes(&random);
        random.zeroize();
        Ok(Self { name, key })
    }

    /// The name by which clients know the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name.0
    }

    /// The half that clients trust.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// Signs a fingerprint.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_parts(&self.name, self.key.sign(message).to_bytes())
    }

    /// `name:base64` of both halves, as Nix keeps it in a file. This is the secret.
    #[must_use]
    pub fn to_secret_string(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.key.to_keypair_bytes());
        let encoded = Zeroizing::new(BASE64.encode(bytes.as_slice()));
        Zeroizing::new(format!("{}:{}", self.name.0, *encoded))
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    /// Takes the 64 bytes that Nix writes; surrounding white space is cut. 32 bytes, which could be a seed,
    /// are refused: they are far more likely a public key, and a key made of that is known to everybody.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        const WHAT: &str = "secret key";
        let (name, bytes) = parse_parts(WHAT, text.trim())?;
        if bytes.len() == 32 {
            return Err(KeyError::Public(echo(&name.0)));
        }
        let (seed, public) = bytes.split_at(bytes.len().min(32));
        let mut seed: [u8; 32] = seed
            .try_into()
            .map_err(|_| wrong_length(WHAT, &name, bytes.len(), "64"))?;
        let key = SigningKey::from_bytes(&seed);
        seed.zeroize();
        match public.len() {
            32 if public == key.verifying_key().as_bytes() => {}
            32 => return Err(KeyError::Mismatch(echo(&name.0))),
            _ => return Err(wrong_length(WHAT, &name, bytes.len(), "64")),
        }
        Ok(Self { name, key })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}:…)", self.name.0)
    }
}

/// A key that clients trust.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: KeyName,
    key: VerifyingKey,
}

impl PublicKey {
    /// The name that its signatures bear.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name.0
    }

    /// Whether `signature` is by this key, name included, and over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(&signature.bytes);
        signature.key_name() == self.name() && self.key.verify_strict(message, &bytes).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        const WHAT: &str = "public key";
        let (name, bytes) = parse_parts(WHAT, text.trim())?;
        let bytes: &[u8; 32] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| wrong_length(WHAT, &name, bytes.len(), "32"))?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAKey(echo(&name.0)))?;
        Ok(Self { name, key })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name.0, BASE64.encode(self.key.as_bytes()))
    }
}

/// A signature and the name of the key that made it. Sorts as its text does, which is Nix's order.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Signature {
    text: Box<str>,
    bytes: [u8; 64],
}

impl Signature {
    /// The signature by the key of that name; the bytes are not checked.
    pub fn new(key_name: &str, bytes: [u8; 64]) -> Result<Self, KeyError> {
        Ok(Self::from_parts(&KeyName::new(key_name)?, bytes))
    }

    fn from_parts(name: &KeyName, bytes: [u8; 64]) -> Self {
        Self {
            text: format!("{}:{}", name.0, BASE64.encode(bytes)).into(),
            bytes,
        }
    }

    /// The name of the key that made it.
    #[must_use]
    pub fn key_name(&self) -> &str {
        self.text.split_once(':').map_or("", |(name, _)| name)
    }

    /// The 64 bytes in base64, without the key name.
    #[must_use]
    pub fn base64(&self) -> &str {
        self.text.split_once(':').map_or("", |(_, encoded)| encoded)
    }

    /// The 64 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 64] {
        &self.bytes
    }

    /// `name:base64`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Signature {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        const WHAT: &str = "signature";
        let (name, bytes) = parse_parts(WHAT, text)?;
        let bytes: [u8; 64] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| wrong_length(WHAT, &name, bytes.len(), "64"))?;
        Ok(Self::from_parts(&name, bytes))
    }
}

impl PartialOrd for Signature {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Signature {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

macro_rules! text_serde {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

text_serde!(PublicKey, Signature);
