//! What the store relies on in the file system below it, tried before anything is stored there.

use std::fs;
use std::io;
use std::path::Path;

use super::{LONGEST_PART, Result, StorageError};

/// Folder in the bucket in which it is tried; removed again.
const FOLDER: &str = ".niks3-probe";

const SUITABLE: &str = "use ext4, XFS, Btrfs, ZFS, tmpfs or APFS";

/// Refuses a file system that cannot hold every key, or between whose folders files cannot be moved. One that takes upper
/// and lower case for the same is a warning: of all keys, only names of pins may differ in that alone, and pins are refused
/// that do.
///
/// # Errors
/// [`StorageError::Unsuitable`] with a sentence.
pub(super) fn file_system(objects: &Path, others: &[&Path]) -> Result<()> {
    let folder = objects.join(FOLDER);
    // What a process before this one has left.
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::create_dir(&folder)?;
    let tried = takes_names(&folder).and_then(|()| can_move(&folder, others));
    fs::remove_dir_all(&folder)?;
    tried
}

fn takes_names(folder: &Path) -> Result<()> {
    let unsuitable = |what: &str, error: &io::Error| {
        let folder = folder.parent().unwrap_or(folder).display();
        StorageError::Unsuitable(format!(
            "the file system of {folder} takes no {what} ({error}): {SUITABLE}"
        ))
    };
    // As realisations have them.
    fs::write(folder.join("sha256:0!out"), "").map_err(|error| unsuitable("name with ':'", &error))?;
    let long = "x".repeat(LONGEST_PART - 1);
    fs::write(folder.join(long), "").map_err(|error| unsuitable("name of 255 bytes", &error))?;
    fs::write(folder.join("case"), "")?;
    if fs::symlink_metadata(folder.join("CASE")).is_ok() {
        tracing::warn!(
            folder = %folder.parent().unwrap_or(folder).display(),
            "the file system takes upper and lower case for the same: pins whose names differ in that alone, brought from \
             elsewhere, would share one file"
        );
    }
    Ok(())
}

/// Objects come from the other folders by a rename.
fn can_move(folder: &Path, others: &[&Path]) -> Result<()> {
    for other in others {
        let source = other.join(FOLDER);
        fs::write(&source, "")?;
        if let Err(error) = fs::rename(&source, folder.join("moved")) {
            fs::remove_file(&source)?;
            return Err(StorageError::Unsuitable(format!(
                "files cannot be moved from {} to {} ({error}): both have to be on one file system",
                other.display(),
                folder.parent().unwrap_or(folder).display()
            )));
        }
    }
    Ok(())
}
