//! How a bucket of an S3 service is reached.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// An S3 service elsewhere.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Endpoint; `None` for AWS.
    pub endpoint: Option<Url>,
    /// Bucket.
    pub bucket: String,
    /// Region.
    pub region: String,
    /// Somebody has said so: the service is not asked.
    pub region_given: bool,
    /// The bucket is in the path, not in the host name.
    pub path_style: bool,
    /// Access key and secret key; `None` to take them from the environment.
    pub credentials: Option<Arc<S3Keys>>,
    /// Most requests under way at once.
    pub concurrency: usize,
    /// Most requests in a second.
    pub rate_limit: Option<u32>,
    /// Address that clients get in upload URLs.
    pub public_url: Option<Url>,
}

/// Access key and secret key.
type Pair = (String, SecretString);

/// Access key and secret key of an object store, as their source said when it was last read.
pub struct S3Keys {
    read: Box<dyn Fn() -> Result<Pair, String> + Send + Sync>,
    current: RwLock<Pair>,
}

impl fmt::Debug for S3Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("S3Keys").finish_non_exhaustive()
    }
}

impl S3Keys {
    /// Reads both, and remembers how.
    ///
    /// # Errors
    /// That of reading them.
    pub fn load<E: fmt::Display>(
        read: impl Fn() -> Result<Pair, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let current = RwLock::new(read()?);
        Ok(Self {
            read: Box::new(move || read().map_err(|error| error.to_string())),
            current,
        })
    }

    /// Keys that never change.
    #[must_use]
    pub fn given(access: &str, secret: &SecretString) -> Self {
        let pair = (access.to_owned(), secret.clone());
        Self {
            current: RwLock::new(pair.clone()),
            read: Box::new(move || Ok(pair.clone())),
        }
    }

    /// The access key and the secret key.
    #[must_use]
    pub fn current(&self) -> (String, SecretString) {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads both again; whether they are other ones now.
    ///
    /// # Errors
    /// Says what cannot be read; the keys stay as they were.
    pub fn reload(&self) -> Result<bool, String> {
        let (access, secret) = (self.read)()?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.0 != access || current.1.expose_secret() != secret.expose_secret();
        *current = (access, secret);
        Ok(changed)
    }
}
