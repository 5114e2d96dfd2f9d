//! Which bucket the database belongs to, and how far it has come: the counterpart of
//! `niks3-owner.json` in the bucket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use sqlx::{Any, Transaction};

use super::states::PUSH_OPEN;
use super::{Catalog, CatalogError, Result, TaskId, WriteTx, in_clause, now};

/// The row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnershipRow {
    /// Id of the database; empty before the first start.
    pub database_id: String,
    /// The next id while a bucket is being taken over, or empty.
    pub claim_id: String,
    /// Id of the bucket that it belongs to; empty before it has claimed one.
    pub bucket_id: String,
    /// Counts writing transactions.
    pub generation: i64,
    /// Why garbage collections wait for `niks3 fsck --repair`; empty if they do not.
    pub repair_reason: String,
    /// The database lacks transactions that it had confirmed to this process.
    pub lost_transactions: bool,
}

impl OwnershipRow {
    /// Whether this id names the database, also while it takes over a bucket.
    #[must_use]
    pub fn is_named(&self, id: &str) -> bool {
        !id.is_empty() && (id == self.database_id || id == self.claim_id)
    }
}

/// By how much the generation rises when the database is found to have lost transactions: further than any number
/// that was lost, so that no number is given to two different transactions.
const GENERATION_GAP: i64 = 1 << 24;

/// What this process knows of the database beyond its contents.
#[derive(Debug, Clone, Default)]
pub(super) struct Observed(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    /// The highest generation that the database has confirmed to this process.
    generation: AtomicI64,
    /// A transaction that was confirmed is gone.
    lost: AtomicBool,
    /// Connections opened so far: after a failover all are new.
    connections: AtomicU64,
}

impl Observed {
    pub(super) fn connected(&self) {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Commits with the next generation. A database that gives a number which it had confirmed before has lost
    /// transactions, as after a failover to a replica that lagged behind: nothing more is written then before
    /// that is noted (see [`WriteTx::require_repair`]).
    pub(super) async fn commit(&self, mut tx: Transaction<'static, Any>) -> Result<()> {
        let generation: i64 =
            sqlx::query_scalar("UPDATE ownership SET generation = generation + 1 RETURNING generation")
                .fetch_one(&mut *tx)
                .await?;
        if generation <= self.0.generation.load(Ordering::SeqCst) {
            self.0.lost.store(true, Ordering::SeqCst);
            return Err(CatalogError::WentBack);
        }
        tx.commit().await?;
        self.0.generation.fetch_max(generation, Ordering::SeqCst);
        Ok(())
    }
}

impl Catalog {
    /// The bucket that the database belongs to.
    pub async fn ownership(&self) -> Result<OwnershipRow> {
        let observed = &self.observed.0;
        // Before the row is read: others may commit meanwhile.
        let confirmed = observed.generation.load(Ordering::SeqCst);
        let (database_id, claim_id, bucket_id, generation, repair_reason): (_, _, _, i64, _) = sqlx::query_as(
            "SELECT database_id, claim_id, bucket_id, generation, repair_reason FROM ownership WHERE id = 1",
        )
        .fetch_one(&self.reader)
        .await?;
        Ok(OwnershipRow {
            database_id,
            claim_id,
            bucket_id,
            generation,
            repair_reason,
            lost_transactions: observed.lost.load(Ordering::SeqCst) || generation < confirmed,
        })
    }

    /// Whether a write has found that the database lost transactions, which is not noted yet.
    #[must_use]
    pub fn noticed_loss(&self) -> bool {
        self.observed.0.lost.load(Ordering::SeqCst)
    }

    /// Connections that were opened so far. When it has not risen, there was no failover.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.observed.0.connections.load(Ordering::Relaxed)
    }

    /// Whether there is no path, as before the first push.
    pub async fn is_empty(&self) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM paths LIMIT 1")
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.is_none())
    }
}

impl WriteTx {
    /// Gives the database an id if it has none; its id.
    pub async fn name_database(&mut self, id: &str) -> Result<String> {
        sqlx::query("UPDATE ownership SET database_id = $1 WHERE database_id = ''")
            .bind(id.to_owned())
            .execute(&mut *self.tx)
            .await?;
        Ok(sqlx::query_scalar("SELECT database_id FROM ownership")
            .fetch_one(&mut *self.tx)
            .await?)
    }

    /// Begins to take over a bucket under a new id. Servers that share the database use the id of the first.
    pub async fn begin_takeover(&mut self, id: &str) -> Result<String> {
        sqlx::query("UPDATE ownership SET claim_id = $1 WHERE claim_id = ''")
            .bind(id.to_owned())
            .execute(&mut *self.tx)
            .await?;
        Ok(sqlx::query_scalar("SELECT claim_id FROM ownership")
            .fetch_one(&mut *self.tx)
            .await?)
    }

    /// The bucket names this database: from now on the database is called so and belongs to that bucket.
    pub async fn belong_to(&mut self, database_id: &str, bucket_id: &str) -> Result<()> {
        sqlx::query("UPDATE ownership SET database_id = $1, claim_id = '', bucket_id = $2")
            .bind(database_id.to_owned())
            .bind(bucket_id.to_owned())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// The same for a database that belongs to no bucket yet; false when it does.
    pub async fn belong_to_first(&mut self, bucket_id: &str) -> Result<bool> {
        let done = sqlx::query("UPDATE ownership SET bucket_id = $1 WHERE bucket_id = ''")
            .bind(bucket_id.to_owned())
            .execute(&mut *self.tx)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// From now on garbage collections wait for a repair, and nothing counts as present without a look into the
    /// bucket. Open pushes end: what they were told to be present may not be. `generation` is the highest that is
    /// known from elsewhere.
    pub async fn require_repair(&mut self, reason: &str, generation: i64) -> Result<()> {
        let observed = self.observed.0.generation.load(Ordering::SeqCst).max(generation);
        sqlx::query(
            "UPDATE ownership SET repair_reason = $1, repair_after = COALESCE((SELECT MAX(id) FROM tasks), 0), \
             generation = CASE WHEN generation > $2 THEN generation ELSE $3 END + $4",
        )
        .bind(reason.to_owned())
        .bind(observed)
        .bind(observed)
        .bind(GENERATION_GAP)
        .execute(&mut *self.tx)
        .await?;
        in_clause::query(
            self.backend,
            format!("UPDATE pushes SET lease_until = $1 WHERE state = {PUSH_OPEN}"),
            true,
        )
        .bind(now())
        .execute(&mut *self.tx)
        .await?;
        self.observed.0.lost.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Notes that a repair has ended well; false when it began before the need for it was known.
    pub async fn repaired(&mut self, task: TaskId) -> Result<bool> {
        let done = sqlx::query("UPDATE ownership SET repair_reason = '' WHERE repair_after < $1")
            .bind(task)
            .execute(&mut *self.tx)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The newest task that began before a repair was needed; 0 if none is needed.
    pub async fn repair_after(&mut self) -> Result<TaskId> {
        let task: Option<TaskId> =
            sqlx::query_scalar("SELECT repair_after FROM ownership WHERE repair_reason <> ''")
                .fetch_optional(&mut *self.tx)
                .await?;
        Ok(task.unwrap_or_default())
    }
}
