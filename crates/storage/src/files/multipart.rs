//! Uploads in parts: `DIR/uploads/<id>/` holds the key they become and one file a part.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use bytes::BytesMut;
use chrono::{DateTime, Utc};

use super::{Expected, FileBucket, Inner, Result, absent, meta, open, persist, read_text};
use crate::{ByteStream, CompletedPart, ListedPart, Meta, StorageError, Upload};

/// Name of the file with the key.
const KEY: &str = "key";

impl Inner {
    /// The folder of an upload that is under way for that key.
    fn upload(&self, key: &str, upload_id: &str) -> Result<PathBuf> {
        if upload_id.len() != 32 || !upload_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(StorageError::NotFound);
        }
        let folder = self.uploads.join(upload_id);
        match read_text(&folder.join(KEY)) {
            Ok(found) if found == key => Ok(folder),
            Ok(_) => Err(StorageError::NotFound),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends an upload. Renamed first, so that no later request finds half of it.
    fn end_upload(&self, folder: &PathBuf, upload_id: &str) -> Result<()> {
        let gone = self.temporary.join(format!("{upload_id}.gone"));
        match fs::rename(folder, &gone) {
            Ok(()) => Ok(fs::remove_dir_all(gone)?),
            Err(error) if absent(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl FileBucket {
    pub(crate) async fn create_multipart(&self, key: &str) -> Result<String> {
        let key = key.to_owned();
        self.blocking(move |inner| {
            inner.path(&key)?;
            let upload_id = hex::encode(rand::random::<[u8; 16]>());
            let building = tempfile::tempdir_in(&inner.temporary)?;
            let mut file = fs::File::create(building.path().join(KEY))?;
            file.write_all(key.as_bytes())?;
            fs::rename(building.keep(), inner.uploads.join(&upload_id))?;
            Ok(upload_id)
        })
        .await
    }

    pub(crate) async fn put_part(
        &self,
        key: &str,
        upload_id: &str,
        number: u32,
        mut body: ByteStream,
        expected: Expected,
    ) -> Result<Meta> {
        if !(1..=10_000).contains(&number) {
            return Err(StorageError::Invalid("parts are numbered 1 to 10000".into()));
        }
        self.inner.upload(key, upload_id)?;
        let (file, _) = self.receive(BytesMut::new(), &mut body, expected, None).await?;
        let (key, upload_id) = (key.to_owned(), upload_id.to_owned());
        self.blocking(move |inner| {
            let path = inner.upload(&key, &upload_id)?.join(number.to_string());
            file.persist(&path).map_err(|failed| failed.error)?;
            meta(&fs::symlink_metadata(&path)?)
        })
        .await
    }

    pub(crate) async fn list_parts(&self, key: &str, upload_id: &str) -> Result<Vec<ListedPart>> {
        let (key, upload_id) = (key.to_owned(), upload_id.to_owned());
        self.blocking(move |inner| {
            let mut parts = Vec::new();
            for entry in fs::read_dir(inner.upload(&key, &upload_id)?)? {
                let entry = entry?;
                let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                if !entry.file_type()?.is_file() {
                    continue;
                }
                let found = meta(&entry.metadata()?)?;
                parts.push(ListedPart {
                    number,
                    size: found.size,
                    etag: found.etag,
                });
            }
            parts.sort_unstable_by_key(|part| part.number);
            Ok(parts)
        })
        .await
    }

    pub(crate) async fn complete_multipart(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[CompletedPart],
    ) -> Result<Meta> {
        let (key, upload_id) = (key.to_owned(), upload_id.to_owned());
        let parts: Vec<(u32, String)> = parts
            .iter()
            .map(|part| (part.number, part.etag.clone()))
            .collect();
        self.blocking(move |inner| {
            let folder = inner.upload(&key, &upload_id)?;
            let target = inner.path(&key)?;
            if parts.is_empty() || !parts.is_sorted_by(|one, other| one.0 < other.0) {
                return Err(StorageError::Invalid("InvalidPartOrder".into()));
            }
            let mut whole = inner.temporary()?;
            for (number, etag) in &parts {
                let (mut part, found) = open(&folder.join(number.to_string()))
                    .map_err(|_| StorageError::Invalid(format!("part {number} has not arrived")))?;
                if meta(&found)?.etag.trim_matches('"') != etag.trim_matches('"') {
                    return Err(StorageError::Invalid(format!("part {number} is another one")));
                }
                io::copy(&mut part, whole.as_file_mut())?;
            }
            whole.as_file().sync_data()?;
            persist(whole.into_temp_path(), &target)?;
            inner.end_upload(&folder, &upload_id)?;
            meta(&fs::symlink_metadata(&target)?)
        })
        .await
    }

    pub(crate) async fn abort_multipart(&self, key: &str, upload_id: &str) -> Result<()> {
        let (key, upload_id) = (key.to_owned(), upload_id.to_owned());
        self.blocking(move |inner| match inner.upload(&key, &upload_id) {
            Ok(folder) => inner.end_upload(&folder, &upload_id),
            Err(StorageError::NotFound) => Ok(()),
            Err(error) => Err(error),
        })
        .await
    }

    /// Every upload under way, in the order of their keys.
    pub(crate) async fn list_multipart_uploads(&self) -> Result<Vec<Upload>> {
        self.blocking(|inner| {
            let mut uploads = Vec::new();
            for entry in fs::read_dir(&inner.uploads)? {
                let entry = entry?;
                let begun = entry.metadata().and_then(|metadata| metadata.modified());
                if let (Ok(id), Ok(key), Ok(begun)) = (
                    entry.file_name().into_string(),
                    read_text(&entry.path().join(KEY)),
                    begun,
                ) {
                    let begun_at = DateTime::<Utc>::from(begun).timestamp();
                    uploads.push(Upload { key, id, begun_at });
                }
            }
            uploads.sort_unstable_by(|one, other| (&one.key, &one.id).cmp(&(&other.key, &other.id)));
            Ok(uploads)
        })
        .await
    }
}
