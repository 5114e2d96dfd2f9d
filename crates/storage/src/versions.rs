//! What of a versioned bucket nobody reads any more.

use std::collections::{HashMap, HashSet};

use super::{Bucket, ObjectKey, StorageError};

/// Most versions that one request deletes, as in S3.
const MAX_DELETE: usize = 1000;
/// Old versions of one object that are held in memory; more of them are for the next collection.
const MAX_VERSIONS: usize = 10_000;

/// What the bucket does with what is deleted or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versioning {
    /// It is gone.
    Off,
    /// It is gone, and versions from before are still there.
    Suspended,
    /// It stays as an old version.
    Enabled {
        /// Until a lifecycle rule of the whole bucket deletes it.
        expires: bool,
    },
    /// The service does not say.
    Unknown(String),
}

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

/// The id of a version that a later upload replaces, where versioning is suspended or not yet enabled.
const REPLACEABLE: &str = "null";

impl Version {
    /// Whether no later upload gets its id.
    fn is_final(&self) -> bool {
        !self.id.is_empty() && self.id != REPLACEABLE
    }
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

/// What the bucket keeps of objects that were deleted, page by page.
///
/// Versions are named by the ids that were listed, and only those below the mark of a deletion: none of them is what
/// readers find, nor what anybody uploads meanwhile, which has another id and is above them. The mark goes last, after all
/// versions below it, since without it the next one would be found again.
#[derive(Debug)]
pub struct DeletedObjects<'b> {
    bucket: &'b Bucket,
    next: Option<VersionMarker>,
    begun: bool,
    /// Ids of the page before.
    before: HashSet<(String, String)>,
    /// What was listed of the last key, whose list may go on in the next page.
    open: HashMap<String, KeyVersions>,
}

/// What was listed of one key.
#[derive(Debug, Default)]
struct KeyVersions {
    newest: Option<Version>,
    old: Vec<String>,
    /// Something below the newest has to stay.
    keeps: bool,
}

/// What is left of an object that was deleted.
#[derive(Debug)]
pub struct DeletedObject {
    /// Its key.
    pub key: ObjectKey,
    /// Ids of its versions.
    versions: Vec<String>,
    /// The mark of its deletion, if that may go when they have gone.
    mark: Option<String>,
}

impl<'b> DeletedObjects<'b> {
    pub(super) fn of(bucket: &'b Bucket) -> Self {
        Self {
            bucket,
            next: None,
            begun: false,
            before: HashSet::new(),
            open: HashMap::new(),
        }
    }

    /// Some more, perhaps none; nothing at the end.
    ///
    /// # Errors
    /// When the service does not answer, or does not list versions.
    pub async fn page(&mut self) -> Result<Option<Vec<DeletedObject>>, StorageError> {
        if self.begun && self.next.is_none() {
            return Ok((!self.open.is_empty()).then(|| self.close(None)));
        }
        self.begun = true;
        let page = self.bucket.versions_after(self.next.as_ref()).await?;
        let id = |version: &Version| (version.key.clone(), version.id.clone());
        let ids: HashSet<_> = page.versions.iter().map(id).collect();
        if self.before.is_superset(&ids) && page.next.is_some() {
            // A service that ignores where to begin gives the same again and again. What there is below the last mark is
            // not known.
            tracing::warn!(
                "the object store lists the same versions of objects again; the others are not looked at"
            );
            self.open.clear();
            self.next = None;
            return Ok(None);
        }
        self.next = page.next;
        for version in page.versions {
            if self.before.contains(&id(&version)) {
                continue;
            }
            self.open.entry(version.key.clone()).or_default().add(version);
        }
        self.before = ids;
        let last = self.next.as_ref().map(|next| next.key.clone());
        Ok(Some(self.close(last.as_deref())))
    }

    /// What is left of all objects but the one whose list goes on.
    fn close(&mut self, but: Option<&str>) -> Vec<DeletedObject> {
        let mut closed = Vec::new();
        for (key, listed) in std::mem::take(&mut self.open) {
            if but == Some(key.as_str()) {
                self.open.insert(key, listed);
                continue;
            }
            // What others keep in the bucket is theirs.
            if let Ok(key) = ObjectKey::parse(&key) {
                closed.extend(listed.deleted(key));
            }
        }
        closed
    }

    /// Deletes versions for good, then the marks above them; how many went, and how many objects have something left.
    ///
    /// # Errors
    /// When the service does not answer.
    pub async fn delete(&self, objects: Vec<DeletedObject>) -> Result<(u64, u64), StorageError> {
        let ids = |object: &DeletedObject, ids: &[String]| -> Vec<(ObjectKey, String)> {
            ids.iter().map(|id| (object.key.clone(), id.clone())).collect()
        };
        let versions = objects.iter().flat_map(|object| ids(object, &object.versions));
        let versions: Vec<_> = versions.collect();
        let mut left = HashSet::new();
        let mut gone = self.delete_all(&versions, &mut left).await?;
        let bare = objects
            .iter()
            .filter(|object| !left.contains(object.key.as_str()));
        let marks: Vec<_> = bare
            .flat_map(|object| ids(object, object.mark.as_slice()))
            .collect();
        gone += self.delete_all(&marks, &mut left).await?;
        Ok((gone, left.len() as u64))
    }

    async fn delete_all(
        &self,
        versions: &[(ObjectKey, String)],
        left: &mut HashSet<String>,
    ) -> Result<u64, StorageError> {
        let mut gone = 0;
        for versions in versions.chunks(MAX_DELETE) {
            let failed = self.bucket.delete_versions(versions).await?;
            let deleted = versions.iter().filter(|(key, _)| !failed.contains(key.as_str()));
            gone += deleted.count() as u64;
            left.extend(failed);
        }
        Ok(gone)
    }
}

impl KeyVersions {
    fn add(&mut self, version: Version) {
        if version.is_latest {
            self.newest = Some(version);
        } else if version.is_final() && self.old.len() < MAX_VERSIONS {
            self.old.push(version.id);
        } else {
            self.keeps = true;
        }
    }

    fn deleted(self, key: ObjectKey) -> Option<DeletedObject> {
        let newest = self.newest.filter(|newest| newest.is_marker)?;
        let mark = (newest.is_final() && !self.keeps).then_some(newest.id);
        (!self.old.is_empty() || mark.is_some()).then_some(DeletedObject {
            key,
            versions: self.old,
            mark,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "nix-cache-info";

    fn listed(versions: &[(&str, bool, bool)]) -> Option<(Vec<String>, Option<String>)> {
        let mut of_key = KeyVersions::default();
        for (id, is_latest, is_marker) in versions {
            of_key.add(Version {
                key: KEY.into(),
                id: (*id).into(),
                is_latest: *is_latest,
                is_marker: *is_marker,
            });
        }
        let deleted = of_key.deleted(ObjectKey::parse(KEY).expect("a key"))?;
        Some((deleted.versions, deleted.mark))
    }

    #[test]
    fn only_what_is_below_the_mark_of_a_deletion_goes() {
        let mark = ("m", true, true);
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        // An upload is the newest, whatever was deleted before.
        assert_eq!(
            listed(&[("b", true, false), ("m", false, true), ("a", false, false)]),
            None
        );
        // A list without its newest says nothing.
        assert_eq!(listed(&[("a", false, false)]), None);
        let expected = Some((ids(&["b", "a"]), Some("m".to_owned())));
        assert_eq!(listed(&[mark, ("b", false, false), ("a", false, true)]), expected);
        assert_eq!(listed(&[mark]), Some((Vec::new(), Some("m".to_owned()))));
        // What stays below a mark would be found again without it.
        let expected = Some((ids(&["b"]), None));
        assert_eq!(
            listed(&[mark, ("b", false, false), ("null", false, false)]),
            expected
        );
        assert_eq!(listed(&[("null", true, true), ("b", false, false)]), expected);
        assert_eq!(listed(&[mark, ("null", false, false)]), None);
    }
}
