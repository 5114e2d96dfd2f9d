//! What of a versioned bucket nobody reads any more.

use std::collections::{HashMap, HashSet};

use super::{Bucket, ObjectKey, StorageError};

/// A version of an object, or the mark of its deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Key of the object, whatever it is.
    pub key: String,
    /// Id of the version.
    pub id: String,
    /// It is what readers find, or why they find nothing.
    pub is_latest: bool,
    /// It says that the object was deleted.
    pub is_marker: bool,
}

/// Where a list of versions goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionMarker {
    /// After this key,
    pub key: String,
    /// or after this version of it.
    pub id: Option<String>,
}

/// Some versions, and where the list goes on if there are more.
#[derive(Debug, Clone, Default)]
pub struct VersionPage {
    /// In the order of their keys.
    pub versions: Vec<Version>,
    /// Nothing at the end.
    pub next: Option<VersionMarker>,
}

/// Deletes old versions of objects of a cache, page by page.
///
/// A version is deleted by its id, and only when another one was listed as the newest of its key: so it is not what
/// readers find, and never will be, whatever is uploaded meanwhile. The mark of a deletion goes last, after all versions
/// below it; an object that is uploaded meanwhile is above it.
#[derive(Debug)]
pub struct OldVersions<'b> {
    bucket: &'b Bucket,
    next: Option<VersionMarker>,
    begun: bool,
    /// Ids of the page before.
    before: HashSet<(String, String)>,
    /// Versions of a key that may go, and what is the newest of it, if that was listed: of the last key, whose list may go
    /// on in the next page.
    open: HashMap<String, KeyVersions>,
}

/// What was listed of one key.
#[derive(Debug, Default)]
struct KeyVersions {
    newest: Option<Version>,
    old: Vec<String>,
}

/// What is to be deleted of some keys: versions first, then marks.
#[derive(Debug, Default)]
pub struct OldPage {
    versions: Vec<(ObjectKey, String)>,
    markers: Vec<(ObjectKey, String)>,
}

impl OldPage {
    /// Whether there is nothing to be deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.markers.is_empty()
    }
}

/// Most versions that one request deletes, as in S3.
const MAX_DELETE: usize = 1000;

impl<'b> OldVersions<'b> {
    pub(super) fn of(bucket: &'b Bucket) -> Self {
        Self {
            bucket,
            next: None,
            begun: false,
            before: HashSet::new(),
            open: HashMap::new(),
        }
    }

    /// What is to be deleted next; nothing at the end.
    ///
    /// # Errors
    /// When the service does not answer, or does not list versions.
    pub async fn page(&mut self) -> Result<Option<OldPage>, StorageError> {
        if self.begun && self.next.is_none() {
            return Ok((!self.open.is_empty()).then(|| self.close(None)));
        }
        self.begun = true;
        let page = self.bucket.versions_after(self.next.as_ref()).await?;
        let id = |version: &Version| (version.key.clone(), version.id.clone());
        let ids: HashSet<_> = page.versions.iter().map(id).collect();
        // A service that ignores where to begin gives the same again and again.
        let is_news = ids.difference(&self.before).next().is_some();
        self.next = page.next.filter(|_| is_news);
        for version in page.versions {
            if self.before.contains(&id(&version)) {
                continue;
            }
            let listed = self.open.entry(version.key.clone()).or_default();
            if version.is_latest {
                listed.newest = Some(version);
            } else if version.is_final() {
                listed.old.push(version.id);
            }
        }
        self.before = ids;
        let last = self.next.as_ref().map(|next| next.key.clone());
        Ok(Some(self.close(last.as_deref())))
    }

    /// What may go of all keys but the one whose list goes on.
    fn close(&mut self, but: Option<&str>) -> OldPage {
        let mut closed = OldPage::default();
        for (key, listed) in std::mem::take(&mut self.open) {
            if but == Some(key.as_str()) {
                self.open.insert(key, listed);
                continue;
            }
            // What others keep in the bucket is theirs.
            let (Ok(parsed), Some(newest)) = (ObjectKey::parse(&key), listed.newest) else {
                continue;
            };
            let versions = listed.old.into_iter().map(|id| (parsed.clone(), id));
            closed.versions.extend(versions);
            if newest.is_marker && newest.is_final() {
                closed.markers.push((parsed, newest.id));
            }
        }
        closed
    }

    /// Deletes what was listed; how much is gone, and how much is left.
    ///
    /// # Errors
    /// When the service does not answer.
    pub async fn delete(&self, page: OldPage) -> Result<(u64, u64), StorageError> {
        let (mut gone, mut left) = (0, HashSet::new());
        for versions in page.versions.chunks(MAX_DELETE) {
            let failed = self.bucket.delete_versions(versions).await?;
            gone += versions
                .iter()
                .filter(|(key, _)| !failed.contains(key.as_str()))
                .count() as u64;
            left.extend(failed);
        }
        // Without its mark, what is left below it would be seen again.
        let mut markers = page.markers;
        markers.retain(|(key, _)| !left.contains(key.as_str()));
        for markers in markers.chunks(MAX_DELETE) {
            let failed = self.bucket.delete_versions(markers).await?;
            gone += (markers.len() - failed.len()) as u64;
            left.extend(failed);
        }
        Ok((gone, left.len() as u64))
    }
}
