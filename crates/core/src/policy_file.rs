//! The retention policy of this server, and what tells this server from others that may have another one.

use std::sync::Arc;

use niks3_base::json_cursor::ConfigError;
use niks3_retention::Policy;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

/// Bytes that a policy file may have.
pub const MAX_BYTES: usize = 64 * 1024;

/// A retention policy with its text.
#[derive(Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// What it says.
    pub policy: Policy,
    /// The text of the file.
    pub text: String,
    /// SHA-256 of the text, in hexadecimal.
    pub hash: String,
}

impl PolicyFile {
    /// Reads the text of a policy file.
    ///
    /// # Errors
    /// The first mistake, with line, field and mend.
    pub fn parse(text: String) -> Result<Self, ConfigError> {
        Ok(Self {
            policy: Policy::parse(&text)?,
            hash: hex::encode(Sha256::digest(&text)),
            text,
        })
    }
}

/// Retention, as this server has it.
#[derive(Debug)]
pub struct Retention {
    /// Its policy, if it has a file.
    pub policy: Option<Arc<PolicyFile>>,
    /// Random, made at each start.
    pub instance: String,
    /// Held by whoever reads all references or links: one at a time, since each takes up to some hundred megabytes.
    pub walk: Mutex<()>,
}

impl Retention {
    /// Retention by a policy, or by age alone.
    #[must_use]
    pub fn new(policy: Option<PolicyFile>) -> Self {
        Self {
            policy: policy.map(Arc::new),
            instance: hex::encode(rand::random::<[u8; 16]>()),
            walk: Mutex::new(()),
        }
    }
}
