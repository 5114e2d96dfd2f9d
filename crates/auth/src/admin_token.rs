//! The static admin token.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// Fewest characters that an admin token may have.
const MIN_TOKEN: usize = 36;

/// The static admin token, kept as its hash.
#[derive(Debug)]
pub struct AdminToken {
    hash: [u8; 32],
}

impl AdminToken {
    /// Takes a token as configured.
    ///
    /// # Errors
    /// When it is shorter than 36 characters or has characters that no header carries.
    pub fn new(token: &SecretString) -> Result<Self, String> {
        let token = token.expose_secret();
        if token.chars().count() < MIN_TOKEN {
            return Err(format!("an API token needs {MIN_TOKEN} characters or more"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("an API token is made of visible ASCII characters".into());
        }
        Ok(Self {
            hash: Sha256::digest(token).into(),
        })
    }

    /// Whether that is the token. Hashes are compared, so time tells nothing of it.
    pub(super) fn is(&self, token: &SecretString) -> bool {
        let hash: [u8; 32] = Sha256::digest(token.expose_secret()).into();
        hash == self.hash
    }
}
