//! Garbage collections: which one is under way, what it has done, what those before did.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Catalog, CatalogError, Result, WriteTx, now};

/// Where a garbage collection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcState {
    /// Under way.
    Running,
    /// It did all that it could.
    Done,
    /// It ended early; the next one goes on.
    Failed,
    /// The server stopped, or somebody asked for it; the next one goes on.
    Cancelled,
}

impl GcState {
    fn from_code(code: i64) -> Result<Self> {
        match code {
            0 => Ok(Self::Running),
            1 => Ok(Self::Done),
            2 => Ok(Self::Failed),
            3 => Ok(Self::Cancelled),
            other => Err(CatalogError::Corrupt(format!("garbage collection state {other}"))),
        }
    }

    fn code(self) -> i64 {
        match self {
            Self::Running => 0,
            Self::Done => 1,
            Self::Failed => 2,
            Self::Cancelled => 3,
        }
    }
}

/// A garbage collection.
#[derive(Debug, Clone)]
pub struct GcRow {
    /// Id in the database; later ones are greater.
    pub id: i64,
    /// The name that clients know it by.
    pub token: String,
    /// Who asked for it.
    pub identity: String,
    /// What was asked for, as JSON.
    pub request: String,
    /// Where it stands.
    pub state: GcState,
    /// Phase and counts, as JSON.
    pub progress: String,
    /// Why it ended early.
    pub error: String,
    /// Unix time.
    pub started_at: i64,
    /// Unix time until which its process is believed to work on it.
    pub lease_until: i64,
    /// Unix time, 0 while it runs.
    pub finished_at: i64,
}

impl GcRow {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.try_get(0)?,
            token: row.try_get(1)?,
            identity: row.try_get(2)?,
            request: row.try_get(3)?,
            state: GcState::from_code(row.try_get(4)?)?,
            progress: row.try_get(5)?,
            error: row.try_get(6)?,
            started_at: row.try_get(7)?,
            lease_until: row.try_get(8)?,
            finished_at: row.try_get(9)?,
        })
    }

    /// Its process died, or has lost the database.
    #[must_use]
    pub fn abandoned(&self) -> bool {
        self.state == GcState::Running && self.lease_until <= now()
    }
}

/// A closure that a garbage collection let go, or would.
#[derive(Debug, Clone)]
pub struct GcClosure {
    /// Its place in the list, from 1.
    pub number: i64,
    /// Base name of its root.
    pub root: String,
    /// Unix time of its last push.
    pub pushed_at: i64,
    /// Of its paths, those that nothing else keeps.
    pub paths: i64,
    /// Bytes of their NARs in the bucket.
    pub bytes: i64,
}

const COLUMNS: &str =
    "id, token, identity, request, state, progress, error, started_at, lease_until, finished_at";

impl Catalog {
    /// The garbage collection of that name.
    pub async fn gc_run(&self, token: &str) -> Result<Option<GcRow>> {
        let text = format!("SELECT {COLUMNS} FROM gc_runs WHERE token = $1");
        let row = super::bulk::query(self.backend, text, true)
            .bind(token.to_owned())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(GcRow::from_row).transpose()
    }

    /// Garbage collections from the newest to the oldest, before one.
    pub async fn gc_runs(&self, before: Option<i64>, limit: i64) -> Result<Vec<GcRow>> {
        let text = format!("SELECT {COLUMNS} FROM gc_runs WHERE id < $1 ORDER BY id DESC LIMIT $2");
        let rows = super::bulk::query(self.backend, text, true)
            .bind(before.unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(GcRow::from_row).collect()
    }

    /// The closures that a garbage collection let go, or would, after one.
    pub async fn gc_closures(&self, run_id: i64, after: i64, limit: i64) -> Result<Vec<GcClosure>> {
        let rows = sqlx::query(
            "SELECT number, root, pushed_at, paths, bytes FROM gc_closures \
             WHERE run_id = $1 AND number > $2 ORDER BY number LIMIT $3",
        )
        .bind(run_id)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(GcClosure {
                    number: row.try_get(0)?,
                    root: row.try_get(1)?,
                    pushed_at: row.try_get(2)?,
                    paths: row.try_get(3)?,
                    bytes: row.try_get(4)?,
                })
            })
            .collect()
    }

    /// Says how far a garbage collection is, and that its process lives; false when it is
    /// no longer the one under way.
    pub async fn report_gc(&self, run_id: i64, progress: &str, lease: i64) -> Result<bool> {
        let now = now();
        let done = sqlx::query(
            "UPDATE gc_runs SET progress = $1, lease_until = $2 WHERE id = $3 AND state = 0 AND lease_until > $4",
        )
        .bind(progress.to_owned())
        .bind(now + lease)
        .bind(run_id)
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

impl WriteTx {
    /// The garbage collection that is not over, if there is one.
    pub async fn running_gc(&mut self) -> Result<Option<GcRow>> {
        let text = format!("SELECT {COLUMNS} FROM gc_runs WHERE state = 0 ORDER BY id DESC LIMIT 1");
        let row = super::bulk::query(self.backend, text, true)
            .fetch_optional(&mut *self.tx)
            .await?;
        row.as_ref().map(GcRow::from_row).transpose()
    }

    /// Begins a garbage collection, and from then on notes what commits decide.
    pub async fn begin_gc(
        &mut self,
        token: &str,
        identity: &str,
        request: &str,
        progress: &str,
        lease: i64,
    ) -> Result<i64> {
        let now = now();
        let row = sqlx::query(
            "INSERT INTO gc_runs (token, identity, request, progress, started_at, lease_until) \
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        )
        .bind(token.to_owned())
        .bind(identity.to_owned())
        .bind(request.to_owned())
        .bind(progress.to_owned())
        .bind(now)
        .bind(now + lease)
        .fetch_one(&mut *self.tx)
        .await?;
        let id: i64 = row.try_get(0)?;
        sqlx::query("DELETE FROM gc_dirty").execute(&mut *self.tx).await?;
        sqlx::query("UPDATE counters SET value = $1 WHERE name = 'gc'")
            .bind(id)
            .execute(&mut *self.tx)
            .await?;
        Ok(id)
    }

    /// Whether a garbage collection is still the one under way, so that it may go on.
    pub async fn holds_gc(&mut self, run_id: i64) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM gc_runs WHERE id = $1 AND state = 0 AND lease_until > $2")
            .bind(run_id)
            .bind(now())
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(row.is_some())
    }

    /// Ends a garbage collection; false when it had ended.
    pub async fn end_gc(
        &mut self,
        run_id: i64,
        state: GcState,
        progress: Option<&str>,
        error: &str,
    ) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE gc_runs SET state = $1, progress = COALESCE($2, progress), error = $3, finished_at = $4 \
             WHERE id = $5 AND state = 0",
        )
        .bind(state.code())
        .bind(progress.map(str::to_owned))
        .bind(error.to_owned())
        .bind(now())
        .bind(run_id)
        .execute(&mut *self.tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE counters SET value = 0 WHERE name = 'gc' AND value = $1")
            .bind(run_id)
            .execute(&mut *self.tx)
            .await?;
        sqlx::query("DELETE FROM gc_dirty").execute(&mut *self.tx).await?;
        Ok(true)
    }

    /// Writes down closures that a garbage collection lets go, or would.
    pub async fn note_gc_closures(&mut self, run_id: i64, closures: &[GcClosure]) -> Result<()> {
        for chunk in closures.chunks(super::bulk::ROWS) {
            let text = format!(
                "INSERT INTO gc_closures (run_id, number, root, pushed_at, paths, bytes) VALUES {}",
                super::bulk::values(chunk.len(), 6)
            );
            let mut query = super::bulk::query(self.backend, text, chunk.len() == super::bulk::ROWS);
            for closure in chunk {
                query = query
                    .bind(run_id)
                    .bind(closure.number)
                    .bind(closure.root.clone())
                    .bind(closure.pushed_at)
                    .bind(closure.paths)
                    .bind(closure.bytes);
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Forgets all garbage collections but the newest ones.
    pub async fn trim_gc_runs(&mut self, keep: i64) -> Result<()> {
        sqlx::query("DELETE FROM gc_runs WHERE state <> 0 AND id <= (SELECT MAX(id) FROM gc_runs) - $1")
            .bind(keep)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
