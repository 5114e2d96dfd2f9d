//! Secrets in files.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use secrecy::SecretString;

use super::UsageError;

/// Bytes that a file with a secret may have.
const MAX_SECRET: u64 = 16 << 10;

/// Reads a secret, without the white space around it.
pub(super) fn read(option: &str, path: &Path) -> Result<SecretString, UsageError> {
    let wrong = |why: &str| UsageError::new(format!("{option}: {}: {why}", path.display()));
    let file = fs::File::open(path).map_err(|error| wrong(&error.to_string()))?;
    let mut text = String::new();
    file.take(MAX_SECRET + 1)
        .read_to_string(&mut text)
        .map_err(|error| wrong(&format!("cannot be read as text: {error}")))?;
    if text.len() as u64 > MAX_SECRET {
        return Err(wrong("is too long to be a secret"));
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong("is empty: write the secret into it"));
    }
    Ok(text.to_owned().into())
}

/// Makes a file that only its owner can read, whole or not at all; leaves one that is there.
pub(super) fn create(path: &Path, text: &str) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(
            0o600,
        ))
        .tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => fs::OpenOptions::new()
            .read(true)
            .custom_flags(0)
            .open(directory)?
            .sync_all(),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}
