//! The files that hold credentials: read at the start, and again when the server is told to.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret as _, SecretString};

use super::{UsageError, secrets};
use crate::auth::{AdminToken, oidc};

/// Bytes that the file of `--oidc-config` may have.
const MAX_OIDC_CONFIG: u64 = 1 << 20;

/// The files that say who is admitted.
#[derive(Debug)]
pub struct CredentialFiles {
    /// File with the admin token.
    pub api_token: PathBuf,
    /// File with the providers whose tokens are accepted.
    pub oidc_config: Option<PathBuf>,
}

impl CredentialFiles {
    /// Reads the admin token.
    ///
    /// # Errors
    /// Names the option whose file is wrong.
    pub fn admin_token(&self) -> Result<AdminToken, UsageError> {
        let token = secrets::read("--api-token-path", &self.api_token)?;
        AdminToken::new(&token).map_err(|why| UsageError::new(format!("--api-token-path: {why}")))
    }

    /// Reads the providers; `keys` are the names of the signing keys.
    ///
    /// # Errors
    /// Names the option whose file is wrong.
    pub fn oidc(&self, keys: &[&str]) -> Result<oidc::Settings, UsageError> {
        match &self.oidc_config {
            Some(path) => oidc_settings(path, keys),
            None => Ok(oidc::Settings::default()),
        }
    }
}

fn oidc_settings(path: &Path, keys: &[&str]) -> Result<oidc::Settings, UsageError> {
    let wrong = |why: String| UsageError::new(format!("--oidc-config: {}: {why}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(MAX_OIDC_CONFIG + 1)
        .read_to_string(&mut text)
        .map_err(|error| wrong(format!("cannot be read as text: {error}")))?;
    if text.len() as u64 > MAX_OIDC_CONFIG {
        return Err(wrong(format!("has more than {MAX_OIDC_CONFIG} bytes")));
    }
    oidc::Settings::parse(&text, keys).map_err(|error| wrong(error.to_string()))
}

/// A secret as options give it.
#[derive(Debug)]
pub(super) enum SecretSource {
    /// In the option itself.
    Given(SecretString),
    /// In a file, which this option names.
    File(String, PathBuf),
}

impl SecretSource {
    /// The option with the secret, or the one with its file, if there is either.
    pub(super) fn of(
        option: &str,
        value: Option<&String>,
        path: Option<&PathBuf>,
    ) -> Result<Option<Self>, UsageError> {
        match (value, path) {
            (Some(_), Some(_)) => Err(UsageError::new(format!(
                "{option} and {option}-path: give one of them"
            ))),
            (Some(value), None) if value.trim().is_empty() => {
                Err(UsageError::new(format!("{option} is empty")))
            }
            (Some(value), None) => Ok(Some(Self::Given(value.trim().to_owned().into()))),
            (None, Some(path)) => Ok(Some(Self::File(format!("{option}-path"), path.clone()))),
            (None, None) => Ok(None),
        }
    }

    fn read(&self) -> Result<SecretString, UsageError> {
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::File(option, path) => secrets::read(option, path),
        }
    }
}

/// Access key and secret key of an object store, as their files said when they were last read.
#[derive(Debug)]
pub struct S3Keys {
    access: SecretSource,
    secret: SecretSource,
    current: RwLock<(String, SecretString)>,
}

impl S3Keys {
    /// Reads both.
    pub(super) fn load(access: SecretSource, secret: SecretSource) -> Result<Self, UsageError> {
        let current = RwLock::new(read(&access, &secret)?);
        Ok(Self {
            access,
            secret,
            current,
        })
    }

    /// Keys that are in no file.
    #[must_use]
    pub fn given(access: &str, secret: &SecretString) -> Self {
        Self {
            access: SecretSource::Given(access.to_owned().into()),
            secret: SecretSource::Given(secret.clone()),
            current: RwLock::new((access.to_owned(), secret.clone())),
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
    /// Names the option whose file is wrong; the keys stay as they were.
    pub fn reload(&self) -> Result<bool, UsageError> {
        let (access, secret) = read(&self.access, &self.secret)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.0 != access || current.1.expose_secret() != secret.expose_secret();
        *current = (access, secret);
        Ok(changed)
    }
}

fn read(access: &SecretSource, secret: &SecretSource) -> Result<(String, SecretString), UsageError> {
    Ok((access.read()?.expose_secret().to_owned(), secret.read()?))
}
