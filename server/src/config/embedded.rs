//! What a data directory holds: made on the first start, kept ever after.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use niks3_nix::signature::SecretKey;

use super::{UsageError, secrets};

/// Name of the bucket inside the process, and first part of its URLs' paths.
pub(super) const BUCKET: &str = "niks3";

/// Paths in a data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
    /// Nothing that a start makes was in it.
    is_new: bool,
}

impl DataDir {
    /// Opens the directory, making it for its owner alone when it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, UsageError> {
        let wrong = |error: std::io::Error| {
            let path = path.display();
            UsageError::new(match error.kind() {
                ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                    format!("--data-dir: {path} is not a directory, or is below a file")
                }
                ErrorKind::PermissionDenied => format!(
                    "--data-dir: cannot write to {path}: permission denied; create the directory for the user that \
                     runs niks3-server, or name another"
                ),
                _ => format!("--data-dir: {path}: {error}"),
            })
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(wrong)?;
        let root = path.canonicalize().map_err(wrong)?;
        let made = ["api-token", "signing-key", "niks3.db"];
        let is_new = !made.iter().any(|name| root.join(name).exists());
        let probe = tempfile::Builder::new()
            .prefix(".probe-")
            .tempfile_in(&root)
            .map_err(wrong)?;
        drop(probe);
        Ok(Self { root, is_new })
    }

    /// This is the first start that uses it.
    pub(super) const fn is_new(&self) -> bool {
        self.is_new
    }

    /// URL of the database.
    pub(super) fn database(&self) -> String {
        let path = self.root.join("niks3.db");
        format!(
            "sqlite://{}?mode=rwc",
            path.display()
                .to_string()
                .replace('%', "%25")
                .replace('?', "%3f")
                .replace('#', "%23")
        )
    }

    /// Where the object store keeps its files.
    pub(super) fn store(&self) -> PathBuf {
        self.root.clone()
    }

    /// The admin token, made when missing.
    pub(super) fn api_token(&self) -> Result<PathBuf, UsageError> {
        self.make("api-token", || {
            Ok(niks3_nix::base32::encode(&rand::random::<[u8; 32]>()) + "\n")
        })
    }

    /// The signing key, made when missing.
    pub(super) fn signing_key(&self) -> Result<PathBuf, UsageError> {
        self.make("signing-key", || {
            let suffix = niks3_nix::base32::encode(&rand::random::<[u8; 5]>());
            let key = SecretKey::generate(&format!("niks3-{suffix}-1"), rand::random())
                .map_err(|error| UsageError::new(error.to_string()))?;
            Ok(format!("{}\n", *key.to_secret_string()))
        })
    }

    /// Access key and secret key of the object store, made when missing.
    pub(super) fn s3_keys(&self) -> Result<(PathBuf, PathBuf), UsageError> {
        let access = self.make("s3-access-key", || {
            Ok(format!("niks3{}\n", hex::encode(rand::random::<[u8; 8]>())))
        })?;
        let secret = self.make("s3-secret-key", || {
            Ok(hex::encode(rand::random::<[u8; 32]>()) + "\n")
        })?;
        Ok((access, secret))
    }

    fn make(
        &self,
        name: &str,
        text: impl FnOnce() -> Result<String, UsageError>,
    ) -> Result<PathBuf, UsageError> {
        let path = self.root.join(name);
        let wrong =
            |error: std::io::Error| UsageError::new(format!("--data-dir: {}: {error}", path.display()));
        if !path.exists() {
            secrets::create(&path, &text()?).map_err(wrong)?;
        }
        if fs::metadata(&path).map_err(wrong)?.permissions().mode() & 0o077 != 0 {
            tracing::warn!(file = %path.display(), "others can read this secret: chmod 600 it");
        }
        Ok(path)
    }
}
