//! What upstreams were found to have, for an hour: a file for each in the user's cache folder, a line a path.

use std::{
    collections::HashMap,
    fs::{DirBuilder, File, Metadata},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use niks3_nix::{
    hash::NarHash,
    store_path::{StoreDir, StorePath},
};
use rustix::{fs::OFlags, process::geteuid};
use sha2::{Digest as _, Sha256};

use super::Upstream;
use crate::path_info::PathInfo;

/// How long an upstream is believed to still have a path.
const MAX_AGE: u64 = 3600;
/// Some 8 MiB; the newest stay.
const MAX_ENTRIES: usize = 50_000;
const MAX_BYTES: u64 = 16 << 20;
/// What other upstreams, or other keys, have left is removed after this.
const MAX_FILE_AGE: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone, Copy)]
struct RememberedPath {
    nar_hash: NarHash,
    /// Unix time in seconds at which the upstream had it.
    seen: u64,
}

/// What one upstream was found to have. Without a folder that is the user's alone, nothing is remembered.
#[derive(Debug)]
pub(super) struct Memory {
    file: Option<PathBuf>,
    entries: HashMap<StorePath, RememberedPath>,
}

impl Memory {
    /// Reads what is remembered of an upstream, its keys and a store.
    pub(super) fn open(upstream: &Upstream, store_dir: &StoreDir) -> Self {
        let folder = folder().filter(|folder| match prepare(folder) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!("cannot use {}: {error}", folder.display());
                false
            }
        });
        Self::of(
            folder.as_deref(),
            &format!("{upstream} {}", store_dir.as_str()),
            now(),
        )
    }

    fn of(folder: Option<&Path>, about: &str, now: u64) -> Self {
        let Some(folder) = folder else {
            return Self {
                file: None,
                entries: HashMap::new(),
            };
        };
        // An address may have a password in it, so it is no name of a file.
        let name: String = Sha256::digest(about.as_bytes())
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let file = folder.join(name);
        let entries = match read(&file) {
            Ok(text) => text
                .lines()
                .filter_map(entry)
                .filter(|(_, entry)| (entry.seen..entry.seen.saturating_add(MAX_AGE)).contains(&now))
                .collect(),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::debug!("cannot use {}: {error}", file.display());
                }
                HashMap::new()
            }
        };
        Self {
            file: Some(file),
            entries,
        }
    }

    /// Whether the upstream had a path with these contents within the last hour.
    pub(super) fn has(&self, path: &StorePath, info: &PathInfo) -> bool {
        let entry = self.entries.get(path);
        entry.is_some_and(|entry| entry.nar_hash == info.nar_hash)
    }

    /// Remembers paths that it has now.
    pub(super) fn remember(&mut self, paths: &[(&StorePath, &PathInfo)]) {
        self.remember_at(paths, now());
    }

    fn remember_at(&mut self, paths: &[(&StorePath, &PathInfo)], now: u64) {
        let Some(file) = self.file.clone().filter(|_| !paths.is_empty()) else {
            return;
        };
        for (path, info) in paths {
            let entry = RememberedPath {
                nar_hash: info.nar_hash,
                seen: now,
            };
            self.entries.insert((*path).clone(), entry);
        }
        let mut newest: Vec<(&StorePath, &RememberedPath)> = self.entries.iter().collect();
        newest.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.seen));
        let lines = newest.into_iter().take(MAX_ENTRIES);
        let text: String = lines
            .map(|(path, entry)| format!("{} {path} {}\n", entry.seen, entry.nar_hash))
            .collect();
        if let Err(error) = replace(&file, &text) {
            tracing::debug!("cannot write {}: {error}", file.display());
        }
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

fn entry(line: &str) -> Option<(StorePath, RememberedPath)> {
    let mut words = line.split(' ');
    let (seen, path, nar_hash) = (words.next()?, words.next()?, words.next()?);
    let entry = RememberedPath {
        nar_hash: nar_hash.parse().ok()?,
        seen: seen.parse().ok()?,
    };
    Some((path.parse().ok()?, entry))
}

/// `~/.cache/niks3/upstreams`.
fn folder() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    Some(cache?.join("niks3/upstreams"))
}

/// Makes the folder. Under `sudo` it may be that of another user, who could say there what an upstream has.
fn prepare(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let metadata = folder.symlink_metadata()?;
    if metadata.is_dir() {
        check(&metadata)
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

/// Nobody else can have written it.
fn check(metadata: &Metadata) -> io::Result<()> {
    if metadata.uid() != geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("other users can write to it"));
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<String> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = File::options()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(io::Error::other("it is no file of this program"));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a whole file or nothing, and removes old ones beside it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    for entry in folder.read_dir()?.flatten().take(100) {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok());
        if age.is_some_and(|age| age > MAX_FILE_AGE) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn info(contents: &str) -> PathInfo {
        PathInfo {
            nar_hash: NarHash::of(contents.as_bytes()),
            nar_size: 1,
            references: Vec::new(),
            deriver: None,
            signatures: Vec::new(),
            ca: None,
            ultimate: false,
        }
    }

    fn path(number: usize) -> StorePath {
        format!("0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-{number}")
            .parse()
            .unwrap()
    }

    #[test]
    fn a_path_is_remembered_for_an_hour_with_its_contents() {
        let folder = tempfile::tempdir().unwrap();
        let open = |now| Memory::of(Some(folder.path()), "an upstream", now);
        open(1000).remember_at(&[(&path(1), &info("one"))], 1000);
        let has = |now| open(now).has(&path(1), &info("one"));
        assert!(has(1000) && has(4599));
        assert!(!has(4600), "an hour has passed");
        assert!(!has(999), "the clock went back");
        assert!(!open(1000).has(&path(1), &info("other contents")));
        assert!(!Memory::of(Some(folder.path()), "another key", 1000).has(&path(1), &info("one")));
        // What is asked again is as new as that, what is not stays as old as it was.
        open(2000).remember_at(&[(&path(2), &info("two"))], 2000);
        assert!(!open(4600).has(&path(1), &info("one")) && open(4600).has(&path(2), &info("two")));
    }

    #[test]
    fn files_that_others_can_write_or_that_are_no_files_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Memory::of(Some(folder.path()), "an upstream", 1000);
        open().remember_at(&[(&path(1), &info("one"))], 1000);
        let file = open().file.unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o622)).unwrap();
        assert!(!open().has(&path(1), &info("one")));
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(open().has(&path(1), &info("one")));
        let elsewhere = folder.path().join("elsewhere");
        std::fs::rename(&file, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        assert!(!open().has(&path(1), &info("one")));
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "1000 no path\n1000\n\n\u{0}").unwrap();
        assert!(open().entries.is_empty());
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        assert!(prepare(folder.path()).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_stay() {
        let folder = tempfile::tempdir().unwrap();
        let info = info("one");
        let paths: Vec<StorePath> = (0..=MAX_ENTRIES).map(path).collect();
        let open = |now| Memory::of(Some(folder.path()), "an upstream", now);
        open(1000).remember_at(&[(&paths[0], &info)], 1000);
        let rest: Vec<_> = paths[1..].iter().map(|path| (path, &info)).collect();
        open(1001).remember_at(&rest, 1001);
        let memory = open(1002);
        assert_eq!(memory.entries.len(), MAX_ENTRIES);
        assert!(!memory.has(&paths[0], &info) && memory.has(&paths[MAX_ENTRIES], &info));
    }
}
