//! Build logs as Nix keeps them, plain or bzip2, sent as plain text; read twice rather than held in memory.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    pin::Pin,
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

const PARALLEL: usize = 8;
const CHUNK: usize = 64 * 1024;
/// Logs up to this size are kept between hashing and sending.
const KEPT: usize = 1024 * 1024;

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
        .map(|(derivation, file)| send_one(uploader, derivation.clone(), file))
        .buffer_unordered(PARALLEL);
    while let Some(result) = sending.next().await {
        result?;
    }
    Ok(())
}

async fn send_one(uploader: &Uploader, derivation: StorePath, file: LogFile) -> Result<(), PushError> {
    let opened = &uploader.server.opened;
    let (with_md5, limit) = (opened.with_md5, opened.max_log_size);
    let measured = tokio::task::spawn_blocking(move || (measure(&file, with_md5, limit), file)).await;
    let (measured, file) = measured.map_err(|error| PushError::Internal(error.to_string()))?;
    let name = ObjectName {
        kind: UploadKind::Log,
        path: derivation,
    };
    let measured = match measured {
        Ok(Some(measured)) => measured,
        Ok(None) => {
            uploader.progress.warning(&format!(
                "{name} is larger than the {limit} bytes the server takes"
            ));
            return Ok(());
        }
        // A build that was killed leaves half a log; no reason not to push what another one built.
        Err(error) => {
            uploader
                .progress
                .warning(&format!("{name} cannot be read ({error}) and is left out"));
            return Ok(());
        }
    };
    match measured.contents {
        Some(contents) => uploader.send(name, measured.checksums, &contents).await,
        None => {
            let source = LogSource {
                file,
                len: measured.checksums.size,
            };
            uploader.send(name, measured.checksums, &source).await
        }
    }
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

struct Measured {
    checksums: Checksums,
    contents: Option<Bytes>,
}

/// Reads a log once; `None` when it is longer than `limit`.
fn measure(file: &LogFile, with_md5: bool, limit: u64) -> io::Result<Option<Measured>> {
    let mut reader = file.open()?;
    let (mut sha256, mut md5) = (sha2::Sha256::new(), md5::Md5::new());
    let (mut size, mut kept) = (0_u64, Some(Vec::new()));
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
        kept = kept.filter(|kept| kept.len() + count <= KEPT);
        if let Some(kept) = &mut kept {
            kept.extend_from_slice(bytes);
        }
    }
    let checksums = Checksums {
        sha256: FileHash::from_bytes(sha256.finalize().into()),
        md5: with_md5.then(|| md5.finalize().into()),
        size,
    };
    Ok(Some(Measured {
        checksums,
        contents: kept.map(Bytes::from),
    }))
}

/// A log that is read again while it is sent.
struct LogSource {
    file: LogFile,
    len: u64,
}

impl Source for LogSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn stream(&self) -> Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>> {
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        let (file, len) = (self.file.clone(), self.len);
        tokio::task::spawn_blocking(move || {
            let read = || -> io::Result<()> {
                // No more than was announced, should the file have grown meanwhile.
                let mut reader = file.open()?.take(len);
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
                let measured = measure(&file, true, 1 << 30).unwrap().unwrap();
                assert_eq!(measured.checksums.sha256, FileHash::of(&text));
                assert_eq!(measured.contents.is_some(), len <= KEPT);
                let source = LogSource {
                    file,
                    len: measured.checksums.size,
                };
                let sent: Vec<Bytes> = source.stream().map(Result::unwrap).collect().await;
                assert!(sent.concat() == text);
            }
        }
    }

    #[test]
    fn a_log_that_is_too_long_or_broken_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "", &[b'x'; 1000]);
        let file = find(dir.path(), &DRV.parse().unwrap()).unwrap();
        assert!(measure(&file, false, 999).unwrap().is_none());
        let packed = bzip2(&[b'x'; 1000]);
        write(dir.path(), ".bz2", &packed[..packed.len() / 2]);
        let file = find(dir.path(), &DRV.parse().unwrap()).unwrap();
        assert!(measure(&file, false, 1 << 20).is_err());
    }

    #[test]
    fn a_derivation_without_a_log_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(find(dir.path(), &DRV.parse().unwrap()), None);
    }
}
