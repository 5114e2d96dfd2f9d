//! One owner per bucket: the database whose id `niks3-owner.json` has. The database names the bucket in turn.
//!
//! Both also have a *generation*, which counts the writing transactions of the database. It is raised in the
//! database first, by every writing transaction, and then in the bucket: before every batch of deletions, and once
//! a minute while anything is written. So the bucket never has a higher one than the database, unless the database
//! went back: a restored backup, a failover to a replica that lagged behind, a copy that runs beside the original.
//!
//! What a generation costs: one statement in each writing transaction, and one GET and at most one PUT of 200 bytes
//! a minute. What it finds: every restored backup that is older than a minute, every lost deletion. The bucket alone
//! does not show that the last second was lost if nothing was deleted in it; to show that, it would take a PUT to
//! one key for every transaction, which the pushes would wait for. The servers that survive a failover remember the
//! highest generation that was confirmed to them, and notice at their next write (`catalog/ownership.rs`). What is
//! left is a database that loses its last second together with all its servers: then narinfos are in the bucket
//! that the database does not know, which no collection deletes, and the next push or `niks3 fsck --repair` takes
//! them in again.

mod claim;
mod object;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use niks3_base::error::Error;
use niks3_catalog::{Catalog, OwnershipRow, TaskId};
use niks3_storage::{Bucket, ConditionalWrite};

pub use claim::{Adopt, Claimed, claim};
use object::{OwnerObject, Stored};

/// How old a look may be for a server that writes.
const MAX_AGE: Duration = Duration::from_secs(60);
/// How long a request waits for a look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a write of the owner object is tried while other servers of the same database write it, too.
const ATTEMPTS: usize = 10;
/// Seconds after which a client may ask a server again that is not the owner any more. Longer than clients wait: somebody
/// has to do something about it.
const RETRY_AFTER: u32 = 600;

/// What the database needs after it went back, or has taken over a bucket.
pub(crate) const REPAIR: &str = "run `niks3 fsck --repair`";

/// Whether the database of this server owns the bucket, as far as this process knows.
#[derive(Debug)]
pub struct Ownership {
    catalog: Catalog,
    bucket: Arc<Bucket>,
    known: Mutex<Observed>,
    /// Held by whoever looks.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Observed {
    looked_at: Instant,
    /// Connections to the database that had been opened before.
    connections: u64,
    /// Why this server may not write.
    lost: Option<String>,
    /// Why collections wait for a repair.
    repair: Option<String>,
}

impl Ownership {
    /// Of a bucket that was claimed.
    #[must_use]
    pub fn new(claimed: &Claimed, catalog: &Catalog, bucket: &Arc<Bucket>) -> Self {
        let Claimed { connections, row } = claimed;
        if let Some(why) = repair(row) {
            tracing::error!(why, "garbage collections wait for a repair");
        }
        Self {
            catalog: catalog.clone(),
            bucket: Arc::clone(bucket),
            known: Mutex::new(Observed {
                looked_at: Instant::now(),
                connections: *connections,
                lost: None,
                repair: repair(row),
            }),
            looking: tokio::sync::Mutex::default(),
        }
    }

    fn known<T>(&self, of: impl FnOnce(&mut Observed) -> T) -> T {
        of(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why the bucket is not this server's any more, in a sentence.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        self.known(|known| known.lost.clone())
    }

    /// Why collections wait for `niks3 fsck --repair`, in a sentence. As long as they do, nothing that the database
    /// has counts as present without a look into the bucket.
    #[must_use]
    pub fn needs_repair(&self) -> Option<String> {
        self.known(|known| known.repair.clone())
    }

    /// As it was at the last look: whether this server may write.
    ///
    /// # Errors
    /// `Unavailable` when the bucket belongs to another database.
    pub fn require(&self) -> Result<(), Error> {
        self.lost().map_or(Ok(()), |why| Err(not_owner(&why)))
    }

    /// Looks again if the last look is older than a minute, or if there may have been a failover since.
    ///
    /// # Errors
    /// `Unavailable` when the bucket belongs to another database, or that cannot be seen.
    pub async fn current(&self) -> Result<(), Error> {
        if !self.is_fresh() {
            let look = async {
                let _one = self.looking.lock().await;
                // Another request may have looked meanwhile.
                if !self.is_fresh() {
                    self.look_alone().await?;
                }
                Ok::<_, Error>(())
            };
            tokio::time::timeout(LOOK_TIMEOUT, look)
                .await
                .map_err(|_| Error::unavailable("the object store does not answer", 2))??;
        }
        self.require()
    }

    /// The last look is recent, and there was no failover since.
    fn is_fresh(&self) -> bool {
        let (age, connections) = self.known(|known| (known.looked_at.elapsed(), known.connections));
        age <= MAX_AGE && connections == self.catalog.connections() && !self.catalog.noticed_loss()
    }

    /// Looks, and writes the generation of the database into the bucket. To be called between the transaction that
    /// says what is to be deleted, and its deletion.
    ///
    /// # Errors
    /// `Unavailable` when the bucket belongs to another database, or that cannot be seen; `Conflict` when a repair has to come first.
    pub(crate) async fn before_deletion(&self) -> Result<(), Error> {
        self.record().await?;
        self.require_collectable()
    }

    /// As it was at the last look: whether a collection may run.
    ///
    /// # Errors
    /// `Unavailable` when the bucket belongs to another database; `Conflict` when a repair has to come first.
    pub(crate) fn require_collectable(&self) -> Result<(), Error> {
        self.require()?;
        match self.needs_repair() {
            Some(why) => Err(Error::conflict(format!(
                "no garbage collection runs before a repair: {why}"
            ))),
            None => Ok(()),
        }
    }

    /// The same for deletions that pushes and repairs wait for.
    ///
    /// # Errors
    /// `Unavailable` when the bucket belongs to another database, or that cannot be seen.
    pub async fn record(&self) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let (stored, row) = self.look().await?;
            self.require()?;
            let Some(Stored { object, etag }) = stored else {
                break;
            };
            // A database that went back leaves the bucket's generation as it is, for others to see.
            if object.generation >= row.generation || !row.repair_reason.is_empty() {
                return Ok(());
            }
            let raised = OwnerObject {
                generation: row.generation,
                ..object
            };
            match raised.replace(&self.bucket, etag).await? {
                ConditionalWrite::Written => return Ok(()),
                ConditionalWrite::Refused => {}
            }
        }
        Err(Error::unavailable(
            "the owner object of the bucket is being written by others all the time",
            5,
        ))
    }

    /// A repair of that id has ended well: collections may run again.
    ///
    /// # Errors
    /// When database or bucket do not answer.
    pub async fn repaired(&self, task: TaskId) -> Result<(), Error> {
        if self.needs_repair().is_none() {
            return Ok(());
        }
        let mut tx = self.catalog.write().await?;
        let repaired = tx.repaired(task).await?;
        tx.commit().await?;
        if repaired {
            tracing::info!("the repair has ended well: garbage collections may run again");
        } else {
            tracing::warn!("the need for a repair was found while one was in progress: {REPAIR} again");
        }
        self.record().await
    }

    async fn look(&self) -> Result<(Option<Stored>, OwnershipRow), Error> {
        let _one = self.looking.lock().await;
        self.look_alone().await
    }

    /// Reads the owner object, then the database: in that order, since the generation rises in the database first.
    async fn look_alone(&self) -> Result<(Option<Stored>, OwnershipRow), Error> {
        let connections = self.catalog.connections();
        let stored = OwnerObject::read(&self.bucket).await?;
        let mut row = self.catalog.ownership().await?;
        let lost = match &stored {
            Ok(stored) => claim::refusal(stored.as_ref().map(|stored| &stored.object), &row),
            Err(why) => Some(why.clone()),
        };
        let stored = stored.unwrap_or_default();
        let in_bucket = stored.as_ref().map_or(0, |stored| stored.object.generation);
        if lost.is_none() && (in_bucket > row.generation || row.lost_transactions) {
            self.note_loss(in_bucket).await?;
            row = self.catalog.ownership().await?;
        }
        self.learn(Observed {
            looked_at: Instant::now(),
            connections,
            lost,
            repair: repair(&row),
        });
        Ok((stored, row))
    }

    /// Notes that the database went back.
    async fn note_loss(&self, in_bucket: i64) -> Result<(), Error> {
        let reason = format!(
            "the database lacks transactions that it had confirmed (a restored backup, a failover to a replica that lagged \
             behind, or a copy that runs beside the original): {REPAIR}"
        );
        let mut tx = self.catalog.write().await?;
        tx.require_repair(&reason, in_bucket).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes in what was seen, and logs what has changed.
    fn learn(&self, new: Observed) {
        let old = self.known(|known| std::mem::replace(known, new.clone()));
        if old.lost != new.lost {
            match &new.lost {
                Some(why) => tracing::error!(why, "this server does not write any more"),
                None => tracing::warn!("the bucket belongs to this server's database again"),
            }
        }
        if old.repair != new.repair
            && let Some(why) = &new.repair
        {
            tracing::error!(why, "garbage collections wait for a repair");
        }
    }
}

fn repair(row: &OwnershipRow) -> Option<String> {
    Some(row.repair_reason.clone()).filter(|reason| !reason.is_empty())
}

fn not_owner(why: &str) -> Error {
    Error::unavailable(format!("this server does not write any more: {why}"), RETRY_AFTER)
}
