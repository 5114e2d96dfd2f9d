//! Unpacks a NAR to disk: only below where it is told to, and never through a symlink.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{self, Mode, OFlags};

use super::{
    CASE_HACK_SUFFIX, MAX_DEPTH, ReadError, Visitor,
    dirs::{DIRECTORY, Dirs},
    read,
    read::FileHead,
};

/// How a NAR is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreOptions {
    /// Give names that differ in case only a suffix `~nix~case~hack~N`, as Nix does on macOS.
    pub case_hack: bool,
}

impl Default for RestoreOptions {
    /// What Nix does on this system: the case hack on macOS only.
    fn default() -> Self {
        Self {
            case_hack: cfg!(target_os = "macos"),
        }
    }
}

/// Unpacks a NAR as `dest`, which must not exist, though its parent must. Returns the size of the NAR.
///
/// After an error, what was unpacked until then is still there.
pub fn restore<R: Read>(reader: R, dest: &Path, options: RestoreOptions) -> Result<u64, ReadError> {
    let mut restorer = Restorer {
        dest,
        options,
        dirs: Dirs::default(),
        path: PathBuf::new(),
        names: Vec::new(),
    };
    read(reader, &mut restorer)
}

struct Restorer<'d> {
    dest: &'d Path,
    options: RestoreOptions,
    dirs: Dirs,
    path: PathBuf,
    /// For each open folder, how often a name was given, whatever its case. Unused without the case hack.
    names: Vec<HashMap<Vec<u8>, u32>>,
}

impl Restorer<'_> {
    /// The name that an entry gets on disk, below the open folder.
    fn name_on_disk(&mut self, name: &[u8]) -> io::Result<PathBuf> {
        let Some(names) = self.names.last_mut() else {
            return Ok(self.dest.into());
        };
        let mut name = name.to_vec();
        if self.options.case_hack {
            let times = names.entry(name.to_ascii_lowercase()).or_insert(0);
            if *times > 0 {
                name.extend_from_slice(CASE_HACK_SUFFIX);
                name.extend_from_slice(times.to_string().as_bytes());
            }
            *times += 1;
        }
        Ok(OsStr::from_bytes(&name).into())
    }

    fn at<T>(&self, name: &Path, result: Result<T, impl Into<io::Error>>) -> io::Result<T> {
        result.map_err(|error| {
            let error = error.into();
            let path = self.path.join(name);
            io::Error::new(error.kind(), format!("'{}': {error}", path.display()))
        })
    }
}

impl Visitor for Restorer<'_> {
    fn directory(&mut self, name: &[u8]) -> io::Result<()> {
        let name = self.name_on_disk(name)?;
        if self.dirs.depth() >= MAX_DEPTH {
            return self.at(&name, Err(io::Error::other("too deep")));
        }
        let here = self.dirs.here();
        self.at(&name, fs::mkdirat(here, &name, Mode::from_raw_mode(0o777)))?;
        let fd = self.at(&name, fs::openat(here, &name, DIRECTORY, Mode::empty()))?;
        self.dirs.enter(fd)?;
        self.path.push(&name);
        self.names.push(HashMap::new());
        Ok(())
    }

    fn leave(&mut self) -> io::Result<()> {
        self.names.pop();
        self.path.pop();
        self.dirs.leave()
    }

    fn file(&mut self, name: &[u8], file: FileHead, contents: &mut dyn Read) -> io::Result<()> {
        let name = self.name_on_disk(name)?;
        let mode = Mode::from_raw_mode(if file.executable { 0o777 } else { 0o666 });
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self.at(&name, fs::openat(self.dirs.here(), &name, flags, mode))?;
        let written = io::copy(contents, &mut File::from(fd));
        self.at(&name, written).map(|_| ())
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()> {
        let name = self.name_on_disk(name)?;
        self.at(&name, fs::symlinkat(target, self.dirs.here(), &name))
    }
}
