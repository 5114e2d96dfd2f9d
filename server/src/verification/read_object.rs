//! Reading an object of the bucket through, as it comes.

use bytes::Bytes;
use futures::TryStreamExt as _;

use super::content_hash::Wanted;
use super::nar_reader::{Contents, NarReader};
use crate::app::App;
use crate::storage::{GetOptions, GetResult, Meta, ObjectKey, StorageError};

/// Pieces of an object that wait to be read.
const AHEAD: usize = 8;

/// Reads a compressed NAR of at most `most` bytes, if it is there; one that is none only `to_end`, for its hash.
///
/// # Errors
/// When the object store does not answer, or ends in the middle.
pub async fn read_object(
    app: &App,
    key: &ObjectKey,
    most: u64,
    wanted: &[Wanted],
    to_end: bool,
) -> Result<Option<(Meta, Contents)>, StorageError> {
    let GetResult::Found(mut object) = app.bucket.get(key, &GetOptions::default()).await? else {
        return Ok(None);
    };
    let mut reader = NarReader::new(most, wanted);
    let (sender, mut pieces) = tokio::sync::mpsc::channel::<Bytes>(AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        while let Some(piece) = pieces.blocking_recv() {
            reader.push(&piece);
            if !to_end && reader.is_flawed() {
                break;
            }
        }
        reader.finish()
    });
    while let Some(bytes) = object.body.try_next().await? {
        if sender.send(bytes).await.is_err() {
            break;
        }
    }
    drop(sender);
    let contents = reading
        .await
        .map_err(|error| StorageError::Unavailable(error.to_string()))?;
    if contents.nar.is_ok() && contents.file_size != object.meta.size {
        return Err(StorageError::Unavailable("an object ended in the middle".into()));
    }
    Ok(Some((object.meta, contents)))
}

/// Reads a compressed NAR that is in memory.
///
/// # Errors
/// When the thread ends that does it.
pub async fn read_bytes(bytes: Bytes, most: u64, wanted: &[Wanted]) -> Result<Contents, StorageError> {
    let mut reader = NarReader::new(most, wanted);
    tokio::task::spawn_blocking(move || {
        reader.push(&bytes);
        reader.finish()
    })
    .await
    .map_err(|error| StorageError::Unavailable(error.to_string()))
}
