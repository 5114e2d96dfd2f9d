//! What has to be read to check what paths say of their NARs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use niks3_base::error::Error;
use niks3_base::nar_contents::{Wanted, wanted_of};
use niks3_catalog::{ObjectId, Publishable};
use niks3_storage::ObjectKey;

use super::queue::Job;

/// NARs to read, each once for all paths that have it.
pub struct Jobs {
    identity: String,
    by_object: HashMap<ObjectId, Job>,
}

impl Jobs {
    /// Nothing yet, for an identity: the queue is fair between them.
    #[must_use]
    pub fn of(identity: &str) -> Self {
        Self {
            identity: identity.to_owned(),
            by_object: HashMap::new(),
        }
    }

    /// Has the NAR of a path read, and the hashes taken that its content address needs, and some more.
    ///
    /// # Errors
    /// When the database has a key that is none.
    pub fn add(
        &mut self,
        object_id: ObjectId,
        path: &Publishable,
        more: impl IntoIterator<Item = Wanted>,
    ) -> Result<(), Error> {
        let refers_to_itself = path.refs.contains(&path.path_id);
        let wanted = wanted_of(path.ca.as_deref(), &path.path, refers_to_itself);
        let job = match self.by_object.entry(object_id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Job {
                object_id,
                key: ObjectKey::parse(&path.nar_key).map_err(Error::internal)?,
                size: path.file_size.unsigned_abs(),
                file_hash: path.file_hash,
                packing: path.packing,
                identity: self.identity.clone(),
                most: 0,
                wanted: Vec::new(),
            }),
        };
        job.merge(path.nar_size.unsigned_abs(), wanted.into_iter().chain(more));
        Ok(())
    }

    /// Ids of the objects.
    #[must_use]
    pub fn objects(&self) -> Vec<ObjectId> {
        self.by_object.keys().copied().collect()
    }

    /// One a NAR.
    pub(crate) fn into_jobs(self) -> impl Iterator<Item = Job> {
        self.by_object.into_values()
    }
}
