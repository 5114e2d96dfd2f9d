//! Pushes whose commit waits for deletions, for their clients, who would otherwise see nothing for a minute.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use niks3_catalog::PushId;

/// What the commit of a push waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletionWait {
    /// Paths and build logs that are being deleted, and that the push brings or refers to.
    pub objects: u64,
    /// Unix time at which the last request has expired that a process has sent which is gone.
    pub until: i64,
}

/// What the commits of this process wait for, by the id of the push.
#[derive(Debug, Default)]
pub struct DeletionWaits(Mutex<HashMap<PushId, DeletionWait>>);

impl DeletionWaits {
    fn lock(&self) -> MutexGuard<'_, HashMap<PushId, DeletionWait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the commit of a push waits for.
    #[must_use]
    pub fn of_push(&self, push_id: PushId) -> Option<DeletionWait> {
        self.lock().get(&push_id).copied()
    }

    /// A push begins to wait, until the answer is dropped.
    pub(crate) fn begin(&self, push_id: PushId, wait: DeletionWait) -> Waiting<'_> {
        self.lock().insert(push_id, wait);
        Waiting { all: self, push_id }
    }
}

/// A push that waits.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    all: &'a DeletionWaits,
    push_id: PushId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.push_id);
    }
}
