//! The list of uploads in parts, which services give in many ways.

use std::collections::HashSet;

use super::{Bucket, StorageError, Upload, UploadMarker};

/// Uploads that have not ended, page by page, each once. It ends where the service says so, and whenever a page brings
/// nothing new: some services ignore where to begin.
#[derive(Debug)]
pub struct Uploads<'b> {
    bucket: &'b Bucket,
    next: Next,
    /// Ids of the page before.
    before: HashSet<String>,
}

#[derive(Debug)]
enum Next {
    First,
    After(UploadMarker),
    End,
}

impl<'b> Uploads<'b> {
    pub(super) fn of(bucket: &'b Bucket) -> Self {
        Self {
            bucket,
            next: Next::First,
            before: HashSet::new(),
        }
    }

    /// Some more; nothing at the end. Where the service has no such list, or does not show it to the server, that is
    /// logged, and it ends.
    ///
    /// # Errors
    /// When the service does not answer.
    pub async fn page(&mut self) -> Result<Option<Vec<Upload>>, StorageError> {
        let after = match &self.next {
            Next::First => None,
            Next::After(marker) => Some(marker),
            Next::End => return Ok(None),
        };
        let page = match self.bucket.uploads_after(after).await {
            Err(StorageError::Invalid(why) | StorageError::Denied(why) | StorageError::Forbidden(why)) => {
                tracing::warn!(why, "uploads in parts that nobody knows are not looked for");
                self.next = Next::End;
                return Ok(None);
            }
            page => page?,
        };
        let new: Vec<Upload> = page
            .uploads
            .into_iter()
            .filter(|upload| !self.before.contains(&upload.id))
            .collect();
        self.next = page.next.map_or(Next::End, Next::After);
        if new.is_empty() {
            self.next = Next::End;
            return Ok(None);
        }
        self.before = new.iter().map(|upload| upload.id.clone()).collect();
        Ok(Some(new))
    }
}
