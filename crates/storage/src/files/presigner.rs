//! Signing upload URLs for the embedded store, at whatever address clients reach it by.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use secrecy::ExposeSecret as _;
use url::Url;

use super::{FileBucket, Result};
use crate::{StorageError, s3};

/// Addresses that are remembered. Clients choose them, so there is a bound.
const MAX_ADDRESSES: usize = 64;

/// A signing client for each address.
#[derive(Debug, Default)]
pub(super) struct Presigners(Mutex<HashMap<String, Client>>);

impl FileBucket {
    /// Signs for the address by which the caller reached the server.
    pub(crate) fn presigner(&self, base: Option<&str>) -> Result<Client> {
        let wrong = || StorageError::Invalid("the request does not say by which host it came".into());
        let base = base.ok_or_else(wrong)?;
        let mut known = self
            .inner
            .presigners
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get(base) {
            return Ok(client.clone());
        }
        let url: Url = base.parse().map_err(|_| wrong())?;
        let (access_key, secret_key) = self.credentials();
        let credentials = Credentials::new(access_key, secret_key.expose_secret(), None, None, "niks3");
        let client = s3::client(
            Some(&url),
            "us-east-1",
            true,
            &s3::CredentialSource::provider(SharedCredentialsProvider::new(credentials)),
            s3::BRIEF,
            s3::ServiceClock::default(),
        );
        if known.len() >= MAX_ADDRESSES {
            known.clear();
        }
        known.insert(base.to_owned(), client.clone());
        Ok(client)
    }
}
