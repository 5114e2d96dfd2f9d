//! The files that hold credentials: read at the start, and again when the server is told to.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::{UsageError, secrets};
use crate::auth::{AdminToken, oidc};
use crate::storage::S3Keys;

/// Bytes that the file of `--oidc-config` may have.
const MAX_OIDC_CONFIG: u64 = 1 << 20;

/// The files that say who is admitted.
#[derive(Debug)]
pub struct CredentialFiles {
    /// The admin token.
    pub(super) api_token: SecretSource,
    /// File with the providers whose tokens are accepted.
    pub oidc_config: Option<PathBuf>,
}

impl CredentialFiles {
    /// Reads the admin token.
    ///
    /// # Errors
    /// Names the option whose file is wrong.
    pub fn admin_token(&self) -> Result<AdminToken, UsageError> {
        let option = match &self.api_token {
            SecretSource::Given(_) => "--api-token",
            SecretSource::File(..) => "--api-token-path",
        };
        AdminToken::new(&self.api_token.read()?).map_err(|why| UsageError::new(format!("{option}: {why}")))
    }

    /// The file with the admin token, unless an option has the token itself.
    #[must_use]
    pub fn api_token_file(&self) -> Option<&Path> {
        match &self.api_token {
            SecretSource::Given(_) => None,
            SecretSource::File(_, path) => Some(path),
        }
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
    let text = read_text("--oidc-config", path, MAX_OIDC_CONFIG)?;
    let wrong = |why: String| UsageError::new(format!("--oidc-config: {}: {why}", path.display()));
    oidc::Settings::parse(&text, keys).map_err(|error| wrong(error.to_string()))
}

/// Reads a file that an option names and that has no more than so many bytes.
pub(super) fn read_text(option: &str, path: &Path, most: u64) -> Result<String, UsageError> {
    let wrong = |why: String| UsageError::new(format!("{option}: {}: {why}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(most + 1)
        .read_to_string(&mut text)
        .map_err(|error| wrong(format!("cannot be read as text: {error}")))?;
    if text.len() as u64 > most {
        return Err(wrong(format!("has more than {most} bytes")));
    }
    Ok(text)
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

/// The keys of an object store, read again when somebody asks for that.
pub(super) fn s3_keys(access: SecretSource, secret: SecretSource) -> Result<S3Keys, UsageError> {
    S3Keys::load(move || read(&access, &secret))
}

fn read(access: &SecretSource, secret: &SecretSource) -> Result<(String, SecretString), UsageError> {
    Ok((access.read()?.expose_secret().to_owned(), secret.read()?))
}
