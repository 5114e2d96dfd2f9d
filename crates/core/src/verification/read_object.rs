//! Reading an object of the bucket through, as it comes.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use futures::TryStreamExt as _;
use niks3_base::compression::Packing;
use niks3_base::nar_contents::{Contents, NarReader, Wanted, read_nar};
use niks3_storage::{Bucket, GetOptions, GetResult, Meta, ObjectKey, StorageError};

/// Pieces of an object that wait to be read.
const AHEAD: usize = 8;

/// Reads a NAR of at most `most` bytes, if it is there; one that is none only `to_end`, for its hash.
///
/// # Errors
/// When the object store does not answer, or ends in the middle.
pub async fn read_object(
    bucket: &Bucket,
    key: &ObjectKey,
    packing: Packing,
    most: u64,
    wanted: &[Wanted],
    to_end: bool,
) -> Result<Option<(Meta, Contents)>, StorageError> {
    let GetResult::Found(mut object) = bucket.get(key, &GetOptions::default()).await? else {
        return Ok(None);
    };
    let (sender, pieces) = tokio::sync::mpsc::channel::<Bytes>(AHEAD);
    let wanted = wanted.to_vec();
    let reading = tokio::task::spawn_blocking(move || {
        let pieces = Pieces {
            receiver: pieces,
            piece: Bytes::new(),
        };
        read_pieces(pieces, packing, most, &wanted, to_end)
    });
    while let Some(bytes) = object.body.try_next().await? {
        if sender.send(bytes).await.is_err() {
            break;
        }
    }
    drop(sender);
    let unavailable = |error: String| StorageError::Unavailable(error);
    let contents = reading.await.map_err(|error| unavailable(error.to_string()))?;
    let contents = contents.map_err(|error| unavailable(error.to_string()))?;
    if contents.nar.is_ok() && contents.file_size != object.meta.size {
        return Err(StorageError::Unavailable("an object ended in the middle".into()));
    }
    Ok(Some((object.meta, contents)))
}

/// Reads a NAR that is in memory.
///
/// # Errors
/// When the thread ends that does it.
pub(crate) async fn read_bytes(
    bytes: Bytes,
    packing: Packing,
    most: u64,
    wanted: &[Wanted],
) -> Result<Contents, StorageError> {
    let wanted = wanted.to_vec();
    let reading = tokio::task::spawn_blocking(move || match packing {
        Packing::UPLOADED => {
            let mut reader = NarReader::new(most, &wanted);
            reader.push(&bytes);
            Ok(reader.finish())
        }
        _ => read_nar(bytes.reader(), packing, most, &wanted, false),
    });
    reading
        .await
        .map_err(|error| StorageError::Unavailable(error.to_string()))?
        .map_err(|error| StorageError::Unavailable(error.to_string()))
}

/// The bytes of an object as they come, for a thread that reads them.
struct Pieces {
    receiver: tokio::sync::mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

fn read_pieces(
    mut pieces: Pieces,
    packing: Packing,
    most: u64,
    wanted: &[Wanted],
    to_end: bool,
) -> io::Result<Contents> {
    if packing != Packing::UPLOADED {
        return read_nar(pieces, packing, most, wanted, to_end);
    }
    let mut reader = NarReader::new(most, wanted);
    while let Some(piece) = pieces.receiver.blocking_recv() {
        reader.push(&piece);
        if !to_end && reader.is_flawed() {
            break;
        }
    }
    Ok(reader.finish())
}
