//! Reading NARs in the bucket.

use std::io::{self, Write};

use bytes::Bytes;
use futures::TryStreamExt as _;
use niks3_nix::hash::{FileHash, NarHash, Sha256Writer};

use crate::app::App;
use crate::http::problem::Problem;
use crate::storage::{GetOptions, GetResult, Meta, ObjectKey};
use crate::verification::WINDOW_LOG_MAX;

/// Pieces of an object that wait to be hashed.
const AHEAD: usize = 8;

/// What an object holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// What the bucket says of it.
    pub meta: Meta,
    /// SHA-256 of its bytes.
    pub file_hash: FileHash,
    /// How many there are.
    pub file_size: u64,
    /// Hash and size of the NAR in it, or why it holds none of at most the size it was to have.
    pub nar: Result<(NarHash, u64), String>,
}

/// Reads a compressed NAR of at most `most` bytes, if it is there.
pub(super) async fn hashes(app: &App, key: &ObjectKey, most: u64) -> Result<Option<Contents>, Problem> {
    let GetResult::Found(mut object) = app.bucket.get(key, &GetOptions::default()).await? else {
        return Ok(None);
    };
    let (sender, receiver) = tokio::sync::mpsc::channel(AHEAD);
    let hashing = tokio::task::spawn_blocking(move || hash(receiver, most));
    while let Some(bytes) = object.body.try_next().await? {
        if sender.send(bytes).await.is_err() {
            break;
        }
    }
    drop(sender);
    let (file_hash, file_size, nar) = hashing.await.map_err(Problem::internal)?;
    Ok(Some(Contents {
        meta: object.meta,
        file_hash,
        file_size,
        nar,
    }))
}

type Hashed = (FileHash, u64, Result<(NarHash, u64), String>);

fn hash(mut pieces: tokio::sync::mpsc::Receiver<Bytes>, most: u64) -> Hashed {
    let mut file = Sha256Writer::new(io::sink());
    let mut nar = zstd::stream::write::Decoder::new(AtMost {
        inner: Sha256Writer::new(io::sink()),
        left: most,
    })
    .and_then(|mut decoder| {
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(decoder)
    })
    .map_err(|error| error.to_string());
    while let Some(piece) = pieces.blocking_recv() {
        // A sink takes everything.
        let _ = file.write_all(&piece);
        if let Ok(decoder) = &mut nar
            && let Err(error) = decoder.write_all(&piece)
        {
            nar = Err(error.to_string());
        }
    }
    let file = file.finish();
    let nar = nar.and_then(|mut decoder| {
        decoder.flush().map_err(|error| error.to_string())?;
        let parts = decoder.into_inner().inner.finish();
        Ok((NarHash::from_bytes(parts.sha256), parts.len))
    });
    (FileHash::from_bytes(file.sha256), file.len, nar)
}

/// A writer that takes so many bytes.
struct AtMost<W> {
    inner: W,
    left: u64,
}

impl<W: Write> Write for AtMost<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::other("it holds more than the NAR that it should be"))?;
        self.inner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
