//! Build logs as Nix keeps them, plain or bzip2, sent as plain text. Nix may write one anew at any time, so each is read
//! once: the server is told of exactly what will be sent.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use niks3_nix::{hash::FileHash, store_path::StorePath};
use sha2::Digest as _;

use crate::{
    error::PushError,
    put::Source,
    server::{Checksums, ObjectName, UploadKind},
    upload::Uploader,
};

/// Logs that are read or sent at once: most of the time is spent waiting for the server's URLs.
const PARALLEL: usize = 64;
/// Logs that wait to ride in requests to the server, each of at most 64 KiB.
const PARALLEL_SMALL: usize = 512;
const CHUNK: usize = 64 * 1024;
/// Logs up to this size are kept in memory between reading and sending, larger ones in a compressed file.
const KEPT: usize = 256 * 1024;

/// Sends the log of each of `derivations` that has one here.
pub(crate) async fn send(
    uploader: &Uploader,
    log_dir: &Path,
    derivations: &[StorePath],
) -> Result<(), PushError> {
    let found = derivations
        .iter()
        .filter_map(|derivation| Some((derivation, find(log_dir, derivation)?)));
    let mut sending = futures::stream::iter(found)
        .map(|(derivation, file)| read_or_send(uploader, derivation.clone(), file))
        .buffer_unordered(PARALLEL)
        .map(|read| async move { send_small(uploader, read?).await })
        .buffer_unordered(PARALLEL_SMALL);
    while let Some(result) = sending.next().await {
        result?;
    }
    Ok(())
}

/// A log that rides in a request to the server.
struct SmallLog {
    name: ObjectName,
    checksums: Checksums,
    bytes: Bytes,
}

async fn send_small(uploader: &Uploader, log: Option<SmallLog>) -> Result<(), PushError> {
    match log {
        Some(log) => uploader.send_bytes(log.name, log.checksums, &log.bytes, 0).await,
        None => Ok(()),
    }
}

/// Reads a log, and sends it unless it is small.
async fn read_or_send(
    uploader: &Uploader,
    derivation: StorePath,
    file: LogFile,
) -> Result<Option<SmallLog>, PushError> {
    let opened = &uploader.server.opened;
    let (with_md5, limit) = (opened.with_md5, opened.max_log_size);
    let reading = tokio::task::spawn_blocking(move || read(&file, with_md5, limit));
    let result = reading
        .await
        .map_err(|error| PushError::Internal(error.to_string()))?;
    let name = ObjectName {
        kind: UploadKind::Log,
        path: derivation,
    };
    match result {
        Ok(Some(log)) => {
            if let Contents::Memory(bytes) = &log.contents
                && uploader.is_small(log.checksums.size, 0)
            {
                return Ok(Some(SmallLog {
                    name,
                    checksums: log.checksums.clone(),
                    bytes: bytes.clone(),
                }));
            }
            uploader.send(name, log.checksums.clone(), &log).await?;
        }
        Ok(None) => {
            uploader.progress.warning(&format!(
                "{name} is larger than the {limit} bytes the server takes"
            ));
        }
        // A build that was killed leaves half a log; no reason not to push what another one built.
        Err(error) => {
            uploader
                .progress
                .warning(&format!("{name} cannot be read ({error}) and is left out"));
        }
    }
    Ok(None)
}

/// A log on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LogFile {
    path: PathBuf,
    compressed: bool,
}

fn find(log_dir: &Path, derivation: &StorePath) -> Option<LogFile> {
    let (first, rest) = derivation.as_str().split_at(2);
    let plain = log_dir.join("drvs").join(first).join(rest);
    let mut compressed = plain.clone().into_os_string();
    compressed.push(".bz2");
    [(compressed.into(), true), (plain, false)]
        .into_iter()
        .map(|(path, compressed)| LogFile { path, compressed })
        .find(|file| file.path.is_file())
}

impl LogFile {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = BufReader::with_capacity(CHUNK, File::open(&self.path)?);
        Ok(if self.compressed {
            Box::new(bzip2::bufread::MultiBzDecoder::new(file))
        } else {
            Box::new(file)
        })
    }
}

/// A log as it was when it was read.
struct Log {
    checksums: Checksums,
    contents: Contents,
}

enum Contents {
    Memory(Bytes),
    /// A zstd frame, in a file without a name.
    File(Arc<File>),
}

/// Collects what is read.
enum Sink {
    Memory(Vec<u8>),
    File(zstd::Encoder<'static, File>),
}

impl Sink {
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Self::Memory(kept) = self {
            if kept.len() + bytes.len() <= KEPT {
                kept.extend_from_slice(bytes);
                return Ok(());
            }
            let mut file = zstd::Encoder::new(tempfile::tempfile()?, 1)?;
            file.write_all(kept)?;
            *self = Self::File(file);
        }
        match self {
            Self::Memory(_) => Ok(()),
            Self::File(file) => file.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<Contents> {
        Ok(match self {
            Self::Memory(kept) => Contents::Memory(kept.into()),
            Self::File(file) => Contents::File(Arc::new(file.finish()?)),
        })
    }
}

/// Reads a log; `None` when it is longer than `limit`.
fn read(file: &LogFile, with_md5: bool, limit: u64) -> io::Result<Option<Log>> {
    let mut reader = file.open()?;
    let (mut sha256, mut md5) = (sha2::Sha256::new(), md5::Md5::new());
    let (mut size, mut sink) = (0_u64, Sink::Memory(Vec::new()));
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let bytes = &buffer[..count];
        size += count as u64;
        if size > limit {
            return Ok(None);
        }
        sha256.update(bytes);
        if with_md5 {
            md5.update(bytes);
        }
        sink.push(bytes)?;
    }
    let checksums = Checksums {
        sha256: FileHash::from_bytes(sha256.finalize().into()),
        md5: with_md5.then(|| md5.finalize().into()),
        size,
    };
    Ok(Some(Log {
        checksums,
        contents: sink.finish()?,
    }))
}

/// Reads a file from its beginning, whoever else does.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Source for Log {
    fn len(&self) -> u64 {
        self.checksums.size
    }

    fn stream(&self) -> Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>> {
        let file = match &self.contents {
            Contents::Memory(bytes) => return bytes.stream(),
            Contents::File(file) => Arc::clone(file),
        };
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            let read = || -> io::Result<()> {
                let mut reader = zstd::Decoder::new(FromStart { file, at: 0 })?;
                loop {
                    let mut buffer = vec![0; CHUNK];
                    let count = reader.read(&mut buffer)?;
                    buffer.truncate(count);
                    if count == 0 || sender.blocking_send(Ok(buffer.into())).is_err() {
                        return Ok(());
                    }
                }
            };
            if let Err(error) = read() {
                let _ = sender.blocking_send(Err(error));
            }
        });
        Box::pin(futures::stream::unfold(receiver, |mut receiver| async {
            Some((receiver.recv().await?, receiver))
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const DRV: &str = "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-hello.drv";

    fn write(dir: &Path, suffix: &str, bytes: &[u8]) {
        let path = dir.join("drvs/0c").join(format!("{}{suffix}", &DRV[2..]));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn logs_of_both_kinds_are_sent_as_plain_text() {
        for len in [0, 11, 3_000_000] {
            let text: Vec<u8> = b"hello\nworld\n".iter().copied().cycle().take(len).collect();
            for (suffix, bytes) in [("", text.clone()), (".bz2", bzip2(&text))] {
                let dir = tempfile::tempdir().unwrap();
                write(dir.path(), suffix, &bytes);
                let file = find(dir.path(), &DRV.parse().unwrap()).unwrap();
                let log = read(&file, true, 1 << 30).unwrap().unwrap();
                assert_eq!(log.checksums.sha256, FileHash::of(&text));
                assert_eq!(log.len(), len as u64);
                assert_eq!(matches!(log.contents, Contents::Memory(_)), len <= KEPT);
                assert!(sent(&log).await == text);
            }
        }
    }

    async fn sent(log: &Log) -> Vec<u8> {
        let chunks: Vec<Bytes> = log.stream().map(Result::unwrap).collect().await;
        chunks.concat()
    }

    #[tokio::test]
    async fn a_log_that_nix_writes_anew_is_sent_as_it_was_read_however_often() {
        let text = vec![b'x'; 3_000_000];
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "", &text);
        let file = find(dir.path(), &DRV.parse().unwrap()).unwrap();
        let log = read(&file, true, 1 << 30).unwrap().unwrap();
        let mut first = log.stream();
        let begun = first.next().await.unwrap().unwrap();
        write(dir.path(), "", b"another build");
        assert!(sent(&log).await == text);
        std::fs::remove_file(&file.path).unwrap();
        assert!(sent(&log).await == text);
        let rest: Vec<Bytes> = first.map(Result::unwrap).collect().await;
        assert!([begun.to_vec(), rest.concat()].concat() == text);
    }

    #[test]
    fn a_log_that_is_too_long_or_broken_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "", &[b'x'; 1000]);
        let file = find(dir.path(), &DRV.parse().unwrap()).unwrap();
        assert!(read(&file, false, 999).unwrap().is_none());
        let packed = bzip2(&[b'x'; 1000]);
        write(dir.path(), ".bz2", &packed[..packed.len() / 2]);
        let file = find(dir.path(), &DRV.parse().unwrap()).unwrap();
        assert!(read(&file, false, 1 << 20).is_err());
    }

    #[test]
    fn a_derivation_without_a_log_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(find(dir.path(), &DRV.parse().unwrap()), None);
    }
}
