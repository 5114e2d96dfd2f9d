//! The object store inside the process: every object is the plain file
//! `DIR/bucket/<key>`, so that `file://DIR/bucket` is a binary cache without any
//! server.
//!
//! An object appears whole, by a rename. A large one is on the disk before the
//! answer; a small one is once [`FileBucket::sync`] returns, which a commit calls
//! before anything counts: one flush for many narinfos instead of one for each.

mod conditional;
mod flush;
mod list;
mod multipart;
mod presigner;
mod probe;
mod read;
mod s3;

use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use md5::Md5;
use niks3_base::open_files;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempPath};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use presigner::below;
pub(super) use read::Wanted;

use super::{Arrival, Arrivals, ByteStream, Meta, ObjectKey, Published, Staged, StorageError};

type Result<T> = std::result::Result<T, StorageError>;

/// Bytes read or written at a time.
const CHUNK: usize = 256 << 10;
/// Folders of the bucket that are there before anything is in them.
const READER_FOLDERS: [&str; 4] = ["nar", "log", "realisations", "build-trace-v2"];
/// Objects from this size on are on the disk before the answer.
const LARGE: u64 = 1 << 20;

/// Objects that one thread deletes before another one gets its turn.
const DELETED_AT_ONCE: usize = 256;
/// How long a start waits for the server that used the folder before it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// An object store over files.
#[derive(Debug, Clone)]
pub struct FileBucket {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    objects: PathBuf,
    /// The folder of the objects, if what the kernel holds in memory of it is read without another thread.
    local: Option<File>,
    uploads: PathBuf,
    temporary: PathBuf,
    name: String,
    access_key: String,
    secret_key: SecretString,
    listing: list::Cache,
    unflushed: flush::Unflushed,
    presigners: presigner::Presigners,
    /// Held by writes with a condition, from the look to the write.
    conditional: std::sync::Mutex<()>,
    /// Reads NARs as they arrive.
    arrivals: OnceLock<Arc<dyn Arrivals>>,
    /// Operations under way, each with a file or two.
    operations: Semaphore,
    /// Files that wait without a name.
    nameless: Arc<Semaphore>,
    /// Held for as long as the store is open.
    _lock: File,
}

/// An object that is written, and not yet where readers look.
#[derive(Debug)]
pub(super) struct PreparedFile {
    /// What has to be there first.
    staged: Option<Staged>,
    path: PathBuf,
    file: Whole,
}

/// A file that is written, and not yet where readers look.
#[derive(Debug)]
enum Whole {
    /// Without any name.
    #[cfg(target_os = "linux")]
    Nameless(File, OwnedSemaphorePermit),
    /// Under another name, and closed.
    Named(TempPath),
}

/// What a body has to be.
#[derive(Debug, Default, Clone)]
pub(super) struct Expected {
    size: Option<u64>,
    sha256: Option<Vec<u8>>,
    md5: Option<Vec<u8>>,
}

impl FileBucket {
    /// Opens the store in a directory, and clears what a killed process left half written.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn open(directory: &Path, name: &str, access_key: &str, secret_key: &SecretString) -> Result<Self> {
        let [objects, uploads, temporary] = ["bucket", "uploads", "tmp"].map(|part| directory.join(part));
        for folder in [&objects, &uploads, &temporary] {
            fs::create_dir_all(folder)?;
        }
        let lock = lock(directory)?;
        for entry in fs::read_dir(&temporary)? {
            let path = entry?.path();
            fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path))?;
        }
        probe::file_system(&objects, &[&uploads, &temporary])?;
        // Nix makes these in every `file://` cache that it opens, which a reader without write permission cannot.
        for folder in READER_FOLDERS {
            fs::create_dir_all(objects.join(folder))?;
        }
        let inner = Inner {
            local: read::local_folder(&objects),
            objects,
            uploads,
            temporary,
            name: name.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.clone(),
            listing: list::Cache::default(),
            unflushed: flush::Unflushed::default(),
            presigners: presigner::Presigners::default(),
            conditional: std::sync::Mutex::new(()),
            arrivals: OnceLock::new(),
            operations: Semaphore::new(open_files::file_operations()),
            nameless: Arc::new(Semaphore::new(open_files::prepared_files())),
            _lock: lock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.inner.name
    }

    /// The access key and the secret key of presigned URLs.
    #[must_use]
    pub fn credentials(&self) -> (&str, &SecretString) {
        (&self.inner.access_key, &self.inner.secret_key)
    }

    pub(super) fn watch_arrivals(&self, arrivals: Arc<dyn Arrivals>) {
        // Set once, at the start.
        let _ = self.inner.arrivals.set(arrivals);
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = self.inner.clone();
        let unavailable = |error: &dyn std::fmt::Display| StorageError::Unavailable(error.to_string());
        let _permit = self
            .inner
            .operations
            .acquire()
            .await
            .map_err(|error| unavailable(&error))?;
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| unavailable(&error))?
    }

    /// Whether the bucket is there, and takes another small object.
    pub(super) async fn ready(&self) -> Result<()> {
        self.blocking(|inner| {
            fs::metadata(&inner.objects)?;
            Ok(inner.temporary()?.write_all(&[0; CHUNK])?)
        })
        .await
    }

    pub(super) async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.write(&key, &body)).await?;
        self.wrote(1);
        Ok(())
    }

    pub(super) async fn put_all(&self, objects: Vec<(ObjectKey, Bytes)>) -> Result<()> {
        let files = objects.len();
        self.blocking(move |inner| {
            for (key, body) in objects {
                inner.write(key.as_str(), &body)?;
            }
            Ok(())
        })
        .await?;
        self.wrote(files);
        Ok(())
    }

    pub(super) async fn prepare(&self, objects: Vec<Published>) -> Result<Vec<PreparedFile>> {
        self.blocking(move |inner| {
            let mut prepared = Vec::with_capacity(objects.len());
            for object in objects {
                let mut staged = object.staged;
                for (key, body) in object.first.into_iter().chain([(object.key, object.body)]) {
                    prepared.push(PreparedFile {
                        staged: staged.take(),
                        path: inner.path(key.as_str())?,
                        file: inner.whole(&body)?,
                    });
                }
            }
            Ok(prepared)
        })
        .await
    }

    pub(super) async fn publish(&self, prepared: Vec<PreparedFile>) -> Result<()> {
        let files = prepared.len();
        self.blocking(move |inner| {
            for PreparedFile { staged, path, file } in prepared {
                if let Some(staged) = staged {
                    inner.rename(staged.from.as_str(), staged.to.as_str(), staged.size)?;
                }
                inner.show(file, &path)?;
            }
            Ok(())
        })
        .await?;
        self.wrote(files);
        Ok(())
    }

    pub(super) async fn sizes(&self, keys: Vec<String>) -> Result<Vec<Option<u64>>> {
        const TOGETHER: usize = 4096;
        let chunks = keys.chunks(TOGETHER).map(<[String]>::to_vec).collect::<Vec<_>>();
        let sizes: Vec<Vec<Option<u64>>> = futures::stream::iter(chunks)
            .map(|keys| {
                self.blocking(move |inner| {
                    let size = |key: &String| Ok(inner.find(key)?.map(|found| found.len()));
                    keys.iter().map(size).collect::<Result<_>>()
                })
            })
            .buffered(4)
            .try_collect()
            .await?;
        Ok(sizes.concat())
    }

    /// Writes a body as it comes, and keeps it only if it is what was expected. Its first bytes have come already.
    async fn receive(
        &self,
        mut pending: BytesMut,
        body: &mut ByteStream,
        expected: Expected,
        mut arriving: Option<Box<dyn Arrival>>,
    ) -> Result<(NamedTempFile, Option<Box<dyn Arrival>>)> {
        let mut file = self.blocking(Inner::temporary).await?;
        let mut received = Received::new(expected);
        loop {
            let filled = fill(&mut pending, body).await?;
            if !pending.is_empty() {
                let bytes = pending.split().freeze();
                (file, received, arriving) = self
                    .blocking(move |_| {
                        received.take(&bytes)?;
                        file.write_all(&bytes)?;
                        if let Some(arriving) = &mut arriving {
                            arriving.push(&bytes);
                        }
                        Ok((file, received, arriving))
                    })
                    .await?;
            }
            // A stream that has ended is not asked again.
            if filled == Filled::Ended {
                break;
            }
        }
        let size = received.check()?;
        if size >= LARGE {
            file = self
                .blocking(move |_| {
                    file.as_file().sync_data()?;
                    Ok(file)
                })
                .await?;
        }
        Ok((file, arriving))
    }

    pub(super) async fn put_stream(
        &self,
        key: &str,
        mut body: ByteStream,
        expected: Expected,
    ) -> Result<Meta> {
        let path = self.inner.path(key)?;
        let arrivals = self.inner.arrivals.get().cloned();
        let arriving = arrivals.clone().and_then(|arrivals| arrivals.begin(key));
        let unread = arriving.is_none();
        let mut pending = BytesMut::new();
        let whole = fill(&mut pending, &mut body).await? == Filled::Ended;
        let written = if whole {
            self.put_whole(pending.freeze(), path, expected, arriving).await?
        } else {
            let (file, arriving) = self.receive(pending, &mut body, expected, arriving).await?;
            self.blocking(move |_| {
                persist(file.into_temp_path(), &path)?;
                let written = meta(&fs::symlink_metadata(&path)?)?;
                if let Some(arriving) = arriving {
                    arriving.finish();
                }
                Ok(written)
            })
            .await?
        };
        self.wrote(usize::from(written.size < LARGE));
        if unread && let Some(arrivals) = arrivals {
            arrivals.arrived(key);
        }
        Ok(written)
    }

    /// Writes a body of which all has come, if it is what was expected.
    async fn put_whole(
        &self,
        bytes: Bytes,
        path: PathBuf,
        expected: Expected,
        arriving: Option<Box<dyn Arrival>>,
    ) -> Result<Meta> {
        self.blocking(move |inner| {
            let mut received = Received::new(expected);
            received.take(&bytes)?;
            received.check()?;
            inner.show(inner.whole(&bytes)?, &path)?;
            let written = meta(&fs::symlink_metadata(&path)?)?;
            if let Some(mut arriving) = arriving {
                arriving.push(&bytes);
                arriving.finish();
            }
            Ok(written)
        })
        .await
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<Meta>> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.find(&key)?.as_ref().map(meta).transpose())
            .await
    }

    pub(super) async fn delete(&self, key: &str) -> Result<()> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.delete(&key)).await
    }

    /// Deletes objects; what became of each.
    pub(super) async fn delete_many(&self, keys: Vec<String>) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(keys.len());
        for keys in keys.chunks(DELETED_AT_ONCE).map(<[String]>::to_vec) {
            let count = keys.len();
            let deleted = self
                .blocking(move |inner| Ok(keys.iter().map(|key| inner.delete(key)).collect::<Vec<_>>()))
                .await;
            match deleted {
                Ok(deleted) => results.extend(deleted),
                Err(error) => {
                    let why = error.to_string();
                    results.extend((0..count).map(|_| Err(StorageError::Unavailable(why.clone()))));
                }
            }
        }
        results
    }

    /// Moves an object; done already, with that size, is done.
    pub(super) async fn rename(&self, from: &str, to: &str, size: u64) -> Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.blocking(move |inner| inner.rename(&from, &to, size)).await
    }

    /// Removes a folder that is empty.
    pub(super) async fn tidy(&self, folder: &str) -> Result<()> {
        let path = self.inner.path(folder)?;
        self.blocking(move |_| {
            // Whatever is still in it has a reason to be.
            let _ = fs::remove_dir(&path);
            Ok(())
        })
        .await
    }

    pub(super) async fn copy(&self, from: &str, to: &str) -> Result<Meta> {
        let (from, to) = (self.inner.path(from)?, self.inner.path(to)?);
        self.blocking(move |inner| {
            let (mut source, _) = open(&from)?;
            let mut file = inner.temporary()?;
            io::copy(&mut source, file.as_file_mut())?;
            file.as_file().sync_data()?;
            persist(file.into_temp_path(), &to)?;
            meta(&fs::symlink_metadata(&to)?)
        })
        .await
    }
}

/// How the filling of a buffer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filled {
    /// It has [`CHUNK`] bytes or more.
    Full,
    /// No more bytes come.
    Ended,
}

/// Reads of a body what makes a chunk.
async fn fill(pending: &mut BytesMut, body: &mut ByteStream) -> Result<Filled> {
    while pending.len() < CHUNK {
        match body.next().await.transpose()? {
            Some(bytes) => pending.extend_from_slice(&bytes),
            None => return Ok(Filled::Ended),
        }
    }
    Ok(Filled::Full)
}

/// Most bytes of a part of a key: the name of a pin can have one more than that of a file.
const LONGEST_PART: usize = 256;
/// Between the halves of such a part, which are a folder and a file.
const FOLD: &str = "~/";

impl Inner {
    /// The file of a key. What could leave the folder is no key.
    fn path(&self, key: &str) -> Result<PathBuf> {
        let part_fits = |part: &str| {
            let long = part.len() < LONGEST_PART || (part.len() == LONGEST_PART && part.is_ascii());
            !part.is_empty() && long && part != "." && part != ".." && !part.contains('\0')
        };
        if key.len() > 1024 || key.contains(FOLD) || !key.split('/').all(part_fits) {
            return Err(StorageError::Invalid(format!(
                "a key has parts of 1 to {LONGEST_PART} bytes, none of them '.' or '..', none with '~' at its end"
            )));
        }
        Ok(key.split('/').fold(self.objects.clone(), |path, part| {
            match part.split_at_checked(128) {
                Some((first, rest)) if part.len() == LONGEST_PART => {
                    path.join(format!("{first}{FOLD}{rest}"))
                }
                _ => path.join(part),
            }
        }))
    }

    /// What the file system says of an object, if it is there.
    fn find(&self, key: &str) -> Result<Option<fs::Metadata>> {
        match fs::symlink_metadata(self.path(key)?) {
            Ok(found) if found.is_file() => Ok(Some(found)),
            Ok(_) => Ok(None),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn delete(&self, key: &str) -> Result<()> {
        match fs::remove_file(self.path(key)?) {
            Err(error) if !absent(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn write(&self, key: &str, body: &[u8]) -> Result<()> {
        let path = self.path(key)?;
        self.show(self.whole(body)?, &path)
    }

    /// A file with these bytes that no reader sees yet.
    fn whole(&self, body: &[u8]) -> Result<Whole> {
        #[cfg(target_os = "linux")]
        if let Ok(permit) = self.nameless.clone().try_acquire_owned()
            && let Some(mut file) = self.nameless()
        {
            file.write_all(body)?;
            return Ok(Whole::Nameless(file, permit));
        }
        let mut file = self.temporary()?;
        file.write_all(body)?;
        Ok(Whole::Named(file.into_temp_path()))
    }

    /// A file that has no name before it is whole: half the work where there is none of that
    /// name, since one folder is changed and not two. Not every file system has such.
    #[cfg(target_os = "linux")]
    fn nameless(&self) -> Option<File> {
        use rustix::fs::{CWD, Mode, OFlags};
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, &self.temporary, flags, Mode::from_raw_mode(0o644));
        file.ok().map(File::from)
    }

    /// Gives a file its place, instead of the one that is there.
    fn show(&self, file: Whole, path: &Path) -> Result<()> {
        let (mut file, _permit) = match file {
            #[cfg(target_os = "linux")]
            Whole::Nameless(file, permit) => (file, permit),
            Whole::Named(file) => return persist(file, path),
        };
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{AtFlags, CWD};
            use std::os::fd::AsRawFd as _;
            let name = format!("/proc/self/fd/{}", file.as_raw_fd());
            if rustix::fs::linkat(CWD, name, CWD, path, AtFlags::SYMLINK_FOLLOW).is_ok() {
                return Ok(());
            }
        }
        // It is there already, or its folder is not.
        let mut named = self.temporary()?;
        file.rewind()?;
        io::copy(&mut file, named.as_file_mut())?;
        persist(named.into_temp_path(), path)
    }

    fn rename(&self, from: &str, to: &str, size: u64) -> Result<()> {
        let (source, target) = (self.path(from)?, self.path(to)?);
        match with_parent(&target, || fs::rename(&source, &target)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match self.find(to)? {
                Some(found) if found.len() == size => Ok(()),
                _ => Err(StorageError::NotFound),
            },
            result => Ok(result?),
        }
    }

    fn temporary(&self) -> Result<NamedTempFile> {
        use std::os::unix::fs::PermissionsExt as _;
        Ok(tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(&self.temporary)?)
    }
}

/// Gives a file its place, instead of the one that is there.
fn persist(file: TempPath, path: &Path) -> Result<()> {
    let mut file = Some(file);
    with_parent(path, || match file.take().map(|file| file.persist(path)) {
        Some(Err(failed)) => {
            file = Some(failed.path);
            Err(failed.error)
        }
        _ => Ok(()),
    })?;
    Ok(())
}

/// Does something to a path, making its folder first if that is what lacks.
fn with_parent(path: &Path, mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    // A folder can be tidied away between its making and its use.
    for _ in 0..8 {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(path);
                if parent.is_dir() {
                    return work();
                }
                fs::create_dir_all(parent)?;
            }
            result => return result,
        }
    }
    work()
}

/// Keeps other processes out of a store for as long as the file is open. One that was just
/// killed has a moment to go.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
        return Err(StorageError::Denied(format!(
            "{} is no regular file",
            path.display()
        )));
    }
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .custom_flags(unwaiting())
        .open(&path)?;
    let started = Instant::now();
    let mut has_said = false;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            // It may be one that is being restarted.
            Err(rustix::io::Errno::WOULDBLOCK) if started.elapsed() < LOCK_TIMEOUT => {
                if !std::mem::replace(&mut has_said, true) {
                    tracing::warn!(
                        "another server uses {}; waiting {} s for it to end",
                        directory.display(),
                        LOCK_TIMEOUT.as_secs()
                    );
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StorageError::Unsuitable(format!(
                    "another server uses {}",
                    directory.display()
                )));
            }
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

/// Neither the object nor its folder is there.
fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Opens a regular file for reading; anything else counts as absent. To open a FIFO would wait for a writer,
/// and to open a device may do something.
fn open(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let regular = |found: fs::Metadata| match found.is_file() {
        true => Ok(found),
        false => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    regular(fs::symlink_metadata(path)?)?;
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(unwaiting())
        .open(path)?;
    // Somebody may just have put something else there.
    let found = regular(file.metadata()?)?;
    Ok((file, found))
}

/// Flags with which opening neither waits for anybody nor follows a link.
fn unwaiting() -> i32 {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    i32::try_from(flags.bits()).unwrap_or_default()
}

/// The text of a small regular file.
fn read_text(path: &Path) -> io::Result<String> {
    io::read_to_string(open(path)?.0)
}

fn meta(found: &fs::Metadata) -> Result<Meta> {
    let nanoseconds = found.mtime_nsec();
    Ok(Meta {
        size: found.len(),
        etag: format!("\"{:x}-{:x}.{nanoseconds:x}\"", found.len(), found.mtime()),
        last_modified: found.mtime(),
        content_encoding: None,
    })
}

/// A body that is being checked as it comes.
struct Received {
    expected: Expected,
    size: u64,
    sha256: Option<Sha256>,
    md5: Option<Md5>,
}

impl Received {
    fn new(expected: Expected) -> Self {
        Self {
            size: 0,
            sha256: expected.sha256.is_some().then(Sha256::new),
            md5: expected.md5.is_some().then(Md5::new),
            expected,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.expected.size.is_some_and(|size| self.size > size) {
            return Err(StorageError::Invalid(
                "the body is longer than Content-Length".into(),
            ));
        }
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.md5 {
            hasher.update(bytes);
        }
        Ok(())
    }

    fn check(self) -> Result<u64> {
        if self.expected.size.is_some_and(|size| size != self.size) {
            return Err(StorageError::Invalid(
                "the body is shorter than Content-Length".into(),
            ));
        }
        let sha256 = self.sha256.map(|hasher| hasher.finalize().to_vec());
        let md5 = self.md5.map(|hasher| hasher.finalize().to_vec());
        if sha256 != self.expected.sha256 || md5 != self.expected.md5 {
            return Err(StorageError::Invalid("the body does not fit its checksum".into()));
        }
        Ok(self.size)
    }
}
