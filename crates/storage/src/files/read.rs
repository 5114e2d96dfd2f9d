//! Reading objects. What the kernel holds in memory is read without another thread: for a narinfo, handing the
//! work over takes longer than the work, and a buffer that one thread fills and another frees stays with both.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use niks3_base::compression::Codec;

use super::{CHUNK, FileBucket, Result, StorageError, absent, meta, open};
use crate::{ByteStream, Extent, Meta};

/// Objects up to this many bytes are read when they are opened.
const SMALL: u64 = 64 << 10;
/// Bytes that are read at once out of the kernel's memory.
const CACHED_CHUNK: usize = 64 << 10;

/// An object that is open: its bytes are those that it had then, whatever happens to the key.
#[derive(Debug)]
pub(crate) struct OpenObject {
    file: File,
    pub(crate) meta: Meta,
    /// All bytes of a small object.
    contents: Option<Bytes>,
}

/// What is wanted of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Its bytes, or some of them.
    Contents,
    /// What is known of it.
    Meta,
}

/// How a file may be read.
#[derive(Debug, Clone, Copy)]
enum Reading {
    /// However long the disk takes.
    Waiting,
    /// Only what the kernel holds in memory.
    Cached,
}

impl FileBucket {
    /// Opens an object, if it is there.
    pub(crate) async fn open_object(&self, key: &str, wanted: Wanted) -> Result<Option<OpenObject>> {
        let path = self.inner.path(key)?;
        // NARs and what is staged are whatever their narinfos say.
        let is_text = !key.starts_with("nar/") && !key.starts_with("staging/");
        let relative = path.strip_prefix(&self.inner.objects).ok();
        let cached = self.inner.local.as_ref().zip(relative);
        match cached.and_then(|(objects, path)| open_cached(objects, path)) {
            Some(Err(error)) if absent(&error) => return Ok(None),
            Some(Ok((file, found))) => {
                match OpenObject::new(file, &found, is_text, wanted, Reading::Cached) {
                    Err(StorageError::Unavailable(_)) => {}
                    object => return object.map(Some),
                }
            }
            _ => {}
        }
        self.blocking(move |_| match open(&path) {
            Ok((file, found)) => OpenObject::new(file, &found, is_text, wanted, Reading::Waiting).map(Some),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }
}

impl OpenObject {
    fn new(
        file: File,
        found: &fs::Metadata,
        is_text: bool,
        wanted: Wanted,
        reading: Reading,
    ) -> Result<Self> {
        let mut meta = meta(found)?;
        let contents = if wanted == Wanted::Contents && meta.size <= SMALL {
            let mut bytes = vec![0; usize::try_from(meta.size).unwrap_or_default()];
            reading.exact(&file, &mut bytes)?;
            Some(Bytes::from(bytes))
        } else {
            None
        };
        if is_text {
            meta.content_encoding = match &contents {
                Some(bytes) => encoding(bytes),
                None => {
                    let mut first = [0; 8];
                    let length = usize::try_from(meta.size).unwrap_or(first.len()).min(first.len());
                    reading.exact(&file, &mut first[..length])?;
                    encoding(&first[..length])
                }
            };
        }
        Ok(Self { file, meta, contents })
    }

    /// Its bytes, or a part of them.
    pub(crate) fn into_stream(self, extent: Option<Extent>) -> ByteStream {
        let (first, length) = extent.map_or((0, self.meta.size), |extent| {
            (extent.first, extent.last - extent.first + 1)
        });
        if let Some(contents) = self.contents {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(contents.len());
            let bytes = contents.slice(place(first)..place(first + length));
            let chunks = (!bytes.is_empty()).then_some(Ok(bytes));
            return Box::pin(futures::stream::iter(chunks));
        }
        let state = (Arc::new(self.file), first, length);
        Box::pin(futures::stream::try_unfold(
            state,
            |(file, first, left)| async move {
                if left == 0 {
                    return Ok(None);
                }
                let bytes = match cached_chunk(&file, first, left) {
                    Some(bytes) => bytes,
                    None => waiting_chunk(Arc::clone(&file), first, left).await?,
                };
                let length = bytes.len() as u64;
                Ok(Some((bytes, (file, first + length, left - length))))
            },
        ))
    }
}

/// The next bytes of a file that the kernel holds in memory, if it holds any.
fn cached_chunk(file: &File, first: u64, left: u64) -> Option<Bytes> {
    let mut buffer = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(CACHED_CHUNK)];
    let count = read_cached(file, &mut buffer, first)
        .ok()
        .filter(|count| *count > 0)?;
    buffer.truncate(count);
    Some(buffer.into())
}

/// The next bytes of a file, from the disk.
async fn waiting_chunk(file: Arc<File>, first: u64, left: u64) -> Result<Bytes> {
    let read = tokio::task::spawn_blocking(move || -> io::Result<_> {
        let mut buffer = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK)];
        file.read_exact_at(&mut buffer, first)?;
        Ok(Bytes::from(buffer))
    });
    let read = read
        .await
        .map_err(|error| StorageError::Unavailable(error.to_string()))?;
    Ok(read?)
}

impl Reading {
    /// Fills a buffer with the first bytes of a file.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when they are not in memory, and may only come from there.
    fn exact(self, file: &File, buffer: &mut [u8]) -> Result<()> {
        match self {
            Self::Waiting => Ok(file.read_exact_at(buffer, 0)?),
            Self::Cached if buffer.is_empty() => Ok(()),
            Self::Cached => match read_cached(file, buffer, 0) {
                Ok(count) if count == buffer.len() => Ok(()),
                _ => Err(StorageError::Unavailable("not in memory".into())),
            },
        }
    }
}

/// Reads what the kernel holds in memory.
///
/// # Errors
/// When it holds nothing of that, or cannot tell.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    use rustix::io::{IoSliceMut, ReadWriteFlags, preadv2};
    let mut buffers = [IoSliceMut::new(buffer)];
    Ok(preadv2(file, &mut buffers, at, ReadWriteFlags::NOWAIT)?)
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The folder of the objects, if it lies on a file system of this machine: on another one, to open a file may mean to
/// ask somebody else, however much of it the kernel holds in memory.
#[cfg(target_os = "linux")]
pub(super) fn local_folder(objects: &Path) -> Option<File> {
    /// ext2 to ext4, XFS, Btrfs, F2FS, tmpfs and ZFS (`statfs(2)`).
    const LOCAL: [u64; 6] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0xf2f5_2010,
        0x0102_1994,
        0x2fc1_2fc1,
    ];
    let folder = File::open(objects).ok()?;
    let kind = u64::try_from(rustix::fs::fstatfs(&folder).ok()?.f_type).ok()?;
    LOCAL.contains(&kind).then_some(folder)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn local_folder(_: &Path) -> Option<File> {
    None
}

/// Opens a regular file as [`open`] does, if the kernel knows all of its path without asking the disk, and no part of
/// it leads to another file system.
#[cfg(target_os = "linux")]
fn open_cached(objects: &File, path: &Path) -> Option<io::Result<(File, fs::Metadata)>> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
    use rustix::io::Errno;

    // To open a device may do something, so first the place is opened and not the file.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::CACHED | ResolveFlags::BENEATH | ResolveFlags::NO_XDEV;
    let place = match openat2(objects, path, flags, Mode::empty(), resolve) {
        Ok(place) => File::from(place),
        Err(error @ (Errno::NOENT | Errno::NOTDIR)) => return Some(Err(error.into())),
        // Not in memory, or elsewhere, or an old kernel, or a sandbox that does not know the call.
        Err(_) => return None,
    };
    let found = place.metadata().ok()?;
    if !found.is_file() {
        return Some(Err(io::ErrorKind::NotFound.into()));
    }
    let name = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(CWD, name, flags, Mode::empty()).ok()?;
    Some(Ok((file.into(), found)))
}

#[cfg(not(target_os = "linux"))]
fn open_cached(_: &File, _: &Path) -> Option<io::Result<(File, fs::Metadata)>> {
    None
}

/// `Content-Encoding` of a text, which a file system does not keep: the first bytes tell.
fn encoding(first: &[u8]) -> Option<String> {
    let codec = Codec::sniff(first);
    (codec != Codec::None).then(|| codec.as_str().to_owned())
}
