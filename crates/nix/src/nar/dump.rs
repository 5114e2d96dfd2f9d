//! Packs a tree from disk as a NAR and takes down its listing, in one pass and in bounded memory.

use std::{
    ffi::{CStr, CString, OsStr},
    io::{self, Write},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    CASE_HACK_SUFFIX, Change, DumpError, MAX_DEPTH, Packed,
    dirs::{DIRECTORY, Dirs},
    is_entry_name, token,
};
use crate::listing::Builder;

const BUFFER: usize = 1 << 20;
/// A file is read into what is left of the buffer unless that is less than this.
const MIN_READ: usize = 256 << 10;

const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

/// How a tree is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DumpOptions {
    /// Cut `~nix~case~hack~` and what follows from names, as Nix does on macOS.
    pub case_hack: bool,
}

impl Default for DumpOptions {
    /// What Nix does on this system: the case hack on macOS only.
    fn default() -> Self {
        Self {
            case_hack: cfg!(target_os = "macos"),
        }
    }
}

/// Packs the file, folder or symlink at `path` into `sink`.
///
/// Symlinks are packed, never followed. Something that changes while it is packed is an error; what was
/// written until then is not a NAR.
pub fn dump<W: Write>(path: &Path, sink: W, options: DumpOptions) -> Result<Packed, DumpError> {
    let mut packer = Packer {
        out: Output {
            sink,
            buffer: vec![0; BUFFER].into(),
            filled: 0,
            flushed: 0,
        },
        listing: Builder::default(),
        dirs: Dirs::default(),
        folders: Vec::new(),
        root: path,
        options,
    };
    packer.run()?;
    packer.out.flush()?;
    Ok(Packed {
        nar_size: packer.out.flushed,
        listing: packer.listing.finish(),
    })
}

struct Packer<'p, W> {
    out: Output<W>,
    listing: Builder,
    dirs: Dirs,
    folders: Vec<Folder>,
    root: &'p Path,
    options: DumpOptions,
}

struct Folder {
    name: CString,
    left: std::vec::IntoIter<DirEntry>,
}

struct DirEntry {
    name: CString,
    /// How much of the name goes into the NAR.
    nar_len: usize,
    kind: FileType,
}

impl DirEntry {
    fn nar_name(&self) -> &[u8] {
        &self.name.as_bytes()[..self.nar_len]
    }
}

impl<W: Write> Packer<'_, W> {
    fn run(&mut self) -> Result<(), DumpError> {
        let name = CString::new(self.root.as_os_str().as_bytes())
            .map_err(|_| self.failed(None, io::ErrorKind::InvalidInput.into()))?;
        self.out.string(token::MAGIC)?;
        self.node(DirEntry {
            name,
            nar_len: 0,
            kind: FileType::Unknown,
        })?;
        while let Some(folder) = self.folders.last_mut() {
            if let Some(entry) = folder.left.next() {
                self.out.strings(&[
                    token::ENTRY,
                    token::OPEN,
                    token::NAME,
                    entry.nar_name(),
                    token::NODE,
                ])?;
                self.node(entry)?;
            } else {
                self.folders.pop();
                self.dirs.leave().map_err(|error| self.failed(None, error))?;
                self.listing.leave();
                self.close_node()?;
            }
        }
        Ok(())
    }

    fn node(&mut self, entry: DirEntry) -> Result<(), DumpError> {
        self.out.strings(&[token::OPEN, token::TYPE])?;
        let kind = match entry.kind {
            FileType::Unknown => {
                let stat = fs::statat(self.dirs.here(), &entry.name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|errno| self.opening(&entry.name, errno))?;
                FileType::from_raw_mode(stat.st_mode)
            }
            known => known,
        };
        match kind {
            FileType::RegularFile => self.file(&entry)?,
            FileType::Symlink => self.symlink(&entry)?,
            FileType::Directory => return self.enter(entry),
            _ => return Err(DumpError::UnsupportedType(self.path(Some(&entry.name)))),
        }
        self.close_node()
    }

    /// Ends a node, and the entry it is unless it is the root.
    fn close_node(&mut self) -> Result<(), DumpError> {
        self.out.string(token::CLOSE)?;
        if self.folders.is_empty() {
            Ok(())
        } else {
            self.out.string(token::CLOSE)
        }
    }

    fn enter(&mut self, entry: DirEntry) -> Result<(), DumpError> {
        if self.dirs.depth() >= MAX_DEPTH {
            return Err(DumpError::TooDeep(self.path(Some(&entry.name))));
        }
        let fd = fs::openat(self.dirs.here(), &entry.name, DIRECTORY, Mode::empty())
            .map_err(|errno| self.opening(&entry.name, errno))?;
        let entries = self.entries(&entry.name, &fd)?;
        self.dirs
            .enter(fd)
            .map_err(|error| self.failed(Some(&entry.name), error))?;
        self.out.string(token::DIRECTORY)?;
        self.listing.directory(entry.nar_name());
        self.folders.push(Folder {
            name: entry.name,
            left: entries.into_iter(),
        });
        Ok(())
    }

    fn entries(&self, folder: &CStr, fd: &OwnedFd) -> Result<Vec<DirEntry>, DumpError> {
        let failed = |errno: Errno| self.failed(Some(folder), errno.into());
        let mut entries = Vec::new();
        for found in Dir::read_from(fd).map_err(failed)? {
            let found = found.map_err(failed)?;
            let name = found.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let nar_len = if self.options.case_hack {
                case_hack(name.to_bytes())
            } else {
                None
            };
            entries.push(DirEntry {
                nar_len: nar_len.unwrap_or(name.count_bytes()),
                name: name.to_owned(),
                kind: found.file_type(),
            });
        }
        entries.sort_unstable_by(|a, b| a.nar_name().cmp(b.nar_name()));
        match entries
            .windows(2)
            .find(|pair| pair[0].nar_name() == pair[1].nar_name())
        {
            Some(pair) => {
                let path = self
                    .path(Some(folder))
                    .join(OsStr::from_bytes(pair[1].name.as_bytes()));
                Err(DumpError::CaseHackCollision(path))
            }
            None => Ok(entries),
        }
    }

    fn symlink(&mut self, entry: &DirEntry) -> Result<(), DumpError> {
        let target =
            fs::readlinkat(self.dirs.here(), &entry.name, Vec::new()).map_err(|errno| match errno {
                Errno::INVAL => self.changed(&entry.name, Change::Replaced),
                errno => self.opening(&entry.name, errno),
            })?;
        self.listing.symlink(entry.nar_name(), target.as_bytes());
        self.out
            .strings(&[token::SYMLINK, token::TARGET, target.as_bytes()])
    }

    fn file(&mut self, entry: &DirEntry) -> Result<(), DumpError> {
        let fd = fs::openat(self.dirs.here(), &entry.name, FILE, Mode::empty())
            .map_err(|errno| self.opening(&entry.name, errno))?;
        let stat = fs::fstat(&fd).map_err(|errno| self.failed(Some(&entry.name), errno.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.changed(&entry.name, Change::Replaced));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let executable = Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR);
        self.out.string(token::REGULAR)?;
        if executable {
            self.out.strings(&[token::EXECUTABLE, b""])?;
        }
        self.out.string(token::CONTENTS)?;
        self.out.bytes(&size.to_le_bytes())?;
        self.listing
            .regular(entry.nar_name(), executable, size, self.out.position());
        self.contents(entry, &fd, size)?;
        self.out.bytes(&[0; 8][..token::padding(size)])
    }

    /// Copies exactly `size` bytes, and sees that there are no more: by asking for one more with the last
    /// read where the buffer has room, so that most small files take one read.
    fn contents(&mut self, entry: &DirEntry, fd: &OwnedFd, size: u64) -> Result<(), DumpError> {
        let mut left = size;
        let mut at_end = false;
        while left > 0 {
            if self.out.room().len() < MIN_READ {
                self.out.flush()?;
            }
            let room = self.out.room();
            let wanted = room
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1));
            let got = match rustix::io::read(fd, &mut room[..wanted]) {
                Err(Errno::INTR) => continue,
                other => other.map_err(|errno| self.failed(Some(&entry.name), errno.into()))?,
            };
            match got as u64 {
                0 => return Err(self.changed(&entry.name, Change::Shrank)),
                more if more > left => return Err(self.changed(&entry.name, Change::Grew)),
                some => left -= some,
            }
            at_end = got < wanted;
            self.out.filled += got;
        }
        if !at_end {
            let more = rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut [0; 1]))
                .map_err(|errno| self.failed(Some(&entry.name), errno.into()))?;
            if more > 0 {
                return Err(self.changed(&entry.name, Change::Grew));
            }
        }
        Ok(())
    }

    fn path(&self, name: Option<&CStr>) -> PathBuf {
        let names = self
            .folders
            .iter()
            .map(|folder| folder.name.as_c_str())
            .chain(name);
        names.map(|name| OsStr::from_bytes(name.to_bytes())).collect()
    }

    fn failed(&self, name: Option<&CStr>, source: io::Error) -> DumpError {
        let path = if name.is_none() && self.folders.is_empty() {
            self.root.into()
        } else {
            self.path(name)
        };
        DumpError::Read { path, source }
    }

    fn changed(&self, name: &CStr, change: Change) -> DumpError {
        DumpError::Changed {
            path: self.path(Some(name)),
            change,
        }
    }

    /// An error of opening what was seen before: it may have changed since.
    fn opening(&self, name: &CStr, errno: Errno) -> DumpError {
        match errno {
            Errno::NOENT if !self.folders.is_empty() => self.changed(name, Change::Vanished),
            Errno::LOOP | Errno::NOTDIR if !self.folders.is_empty() => self.changed(name, Change::Replaced),
            errno => self.failed(Some(name), errno.into()),
        }
    }
}

/// Where the suffix of the case hack begins, if what is before it is a name.
fn case_hack(name: &[u8]) -> Option<usize> {
    name.windows(CASE_HACK_SUFFIX.len())
        .position(|part| part == CASE_HACK_SUFFIX)
        .filter(|at| is_entry_name(&name[..*at]))
}

/// A buffer before the sink that files are read into directly.
struct Output<W> {
    sink: W,
    buffer: Box<[u8]>,
    filled: usize,
    flushed: u64,
}

impl<W: Write> Output<W> {
    const fn position(&self) -> u64 {
        self.flushed + self.filled as u64
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    fn flush(&mut self) -> Result<(), DumpError> {
        self.sink
            .write_all(&self.buffer[..self.filled])
            .map_err(DumpError::Write)?;
        self.flushed += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> Result<(), DumpError> {
        while !bytes.is_empty() {
            if self.filled == self.buffer.len() {
                self.flush()?;
            }
            let room = self.room();
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
        }
        Ok(())
    }

    fn string(&mut self, text: &[u8]) -> Result<(), DumpError> {
        let length = text.len() as u64;
        self.bytes(&length.to_le_bytes())?;
        self.bytes(text)?;
        self.bytes(&[0; 8][..token::padding(length)])
    }

    fn strings(&mut self, texts: &[&[u8]]) -> Result<(), DumpError> {
        texts.iter().try_for_each(|text| self.string(text))
    }
}
