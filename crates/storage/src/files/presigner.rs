//! Signing upload URLs for the embedded store, at whatever address clients reach it by.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use secrecy::ExposeSecret as _;
use url::Url;

use super::{FileBucket, Result};
use crate::{Presigned, StorageError, s3};

/// Addresses that are remembered. Clients choose them, so there is a bound.
const MAX_ADDRESSES: usize = 64;

/// A signing client for each address.
#[derive(Debug, Default)]
pub(super) struct Presigners(Mutex<HashMap<String, Client>>);

/// The same URL below the path of the address by which the caller reached the server, which the signature does not cover.
pub(crate) fn below(base: Option<&str>, mut presigned: Presigned) -> Presigned {
    let path = base
        .and_then(|base| base.parse::<Url>().ok())
        .map(|base| base.path().trim_end_matches('/').to_owned());
    let authority = presigned.url.find("://").map_or(0, |at| at + 3);
    if let (Some(path), Some(at)) = (path, presigned.url[authority..].find('/')) {
        presigned.url.insert_str(authority + at, &path);
    }
    presigned
}

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
        let mut url: Url = base.parse().map_err(|_| wrong())?;
        // A proxy that serves this below a path takes the path off before the signature is checked.
        url.set_path("");
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
