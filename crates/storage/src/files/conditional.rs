//! Writing under a condition. Only this process writes into the folder, so a lock of its own is enough.

use std::fs;
use std::path::Path;
use std::sync::PoisonError;

use bytes::{Bytes, BytesMut};
use tempfile::NamedTempFile;

use super::{Expected, FileBucket, Inner, LARGE, Result, StorageError, meta, persist};
use crate::{ByteStream, Condition, ConditionalWrite, Meta};

impl FileBucket {
    /// The bytes are on the disk before the answer.
    pub(crate) async fn put_if(
        &self,
        key: &str,
        body: Bytes,
        condition: &Condition,
    ) -> Result<ConditionalWrite> {
        let (key, condition) = (key.to_owned(), condition.clone());
        let written = self
            .blocking(move |inner| {
                let _one = inner.conditional.lock().unwrap_or_else(PoisonError::into_inner);
                let found = inner.find(&key)?.as_ref().map(meta).transpose()?;
                let holds = match (&condition, found) {
                    (Condition::Absent, found) => found.is_none(),
                    (Condition::Unchanged(etag), found) => found.is_some_and(|meta| meta.etag == *etag),
                };
                if !holds {
                    return Ok(ConditionalWrite::Refused);
                }
                inner.write(&key, &body)?;
                Ok(ConditionalWrite::Written)
            })
            .await?;
        self.wrote(1);
        self.sync().await?;
        Ok(written)
    }

    /// Writes a body as it comes if there is no object of that key; `None` when there is one.
    pub(super) async fn put_new(
        &self,
        key: &str,
        mut body: ByteStream,
        expected: Expected,
    ) -> Result<Option<Meta>> {
        let (file, _) = self.receive(BytesMut::new(), &mut body, expected, None).await?;
        let key = key.to_owned();
        let written = self.blocking(move |inner| inner.persist_new(file, &key)).await?;
        let small = written.as_ref().is_some_and(|meta| meta.size < LARGE);
        self.wrote(usize::from(small));
        Ok(written)
    }
}

impl Inner {
    fn persist_new(&self, file: NamedTempFile, key: &str) -> Result<Option<Meta>> {
        let path = self.path(key)?;
        let _one = self.conditional.lock().unwrap_or_else(PoisonError::into_inner);
        if self.find(key)?.is_some() {
            return Ok(None);
        }
        persist(file.into_temp_path(), &path)?;
        written(&path).map(Some)
    }
}

fn written(path: &Path) -> Result<Meta> {
    meta(&fs::symlink_metadata(path).map_err(StorageError::from)?)
}
