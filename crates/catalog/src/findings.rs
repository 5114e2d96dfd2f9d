//! What checks have found.

use super::columns::{Flag, codes};
use super::in_clause::{self, BindAll as _, ROWS};
use super::states::FINDING_OPEN;
use super::{Catalog, FindingId, Result, TaskId, WriteTx, now};

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingState {
    /// It is there.
    Open,
    /// It was mended.
    Mended,
    /// It was to be mended, and could not be.
    Failed,
}

impl FindingState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Mended, Self::Failed];

    /// As metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Mended => "mended",
            Self::Failed => "failed",
        }
    }
}

codes!(FindingState, "finding state", Open = 0, Mended = 1, Failed = 2);

/// Something that does not fit.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct FindingRow {
    /// Id in the database; later ones are greater.
    pub id: FindingId,
    /// Name of its kind.
    pub kind: String,
    /// Key of the object, or name of the row.
    pub subject: String,
    /// What is wrong, in words.
    pub detail: String,
    /// What became of it.
    pub state: FindingState,
    /// Why it was not mended, or what a repair would do; empty where that is plain.
    pub reason: String,
    /// A garbage collection removes it.
    #[sqlx(try_from = "Flag")]
    pub left_to_gc: bool,
    /// Unix time.
    pub found_at: i64,
}

/// A finding to be written down.
#[derive(Debug, Clone)]
pub struct NewFinding {
    /// Name of its kind.
    pub kind: &'static str,
    /// Key of the object, or name of the row.
    pub subject: String,
    /// What is wrong, in words.
    pub detail: String,
    /// A garbage collection removes it.
    pub left_to_gc: bool,
}

/// How many findings of a kind came to an end.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct FindingCount {
    /// Name of the kind.
    pub kind: String,
    /// What became of them.
    pub state: FindingState,
    /// How many.
    pub count: i64,
}

impl Catalog {
    /// Findings of a check, after one.
    pub async fn findings(&self, task_id: TaskId, after: FindingId, limit: i64) -> Result<Vec<FindingRow>> {
        let rows = sqlx::query_as(
            "SELECT id, kind, subject, detail, state, left_to_gc, found_at, reason FROM fsck_findings \
             WHERE task_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(task_id)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// How many findings a check has, by kind and by what became of them.
    pub async fn finding_counts(&self, task_id: TaskId) -> Result<Vec<FindingCount>> {
        let rows = sqlx::query_as(
            "SELECT kind, state, COUNT(*) AS count FROM fsck_findings WHERE task_id = $1 GROUP BY kind, state \
             ORDER BY kind, state",
        )
        .bind(task_id)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }
}

impl WriteTx {
    /// Writes findings down; what is found again is found once. Their ids, in their order.
    pub async fn add_findings(&mut self, task_id: TaskId, found: &[NewFinding]) -> Result<Vec<FindingId>> {
        let mut ids = Vec::with_capacity(found.len());
        for finding in found {
            let id = in_clause::query_scalar(self.backend, format!("INSERT INTO fsck_findings (task_id, kind, subject, detail, left_to_gc, found_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (task_id, kind, subject) \
                 DO UPDATE SET detail = excluded.detail, state = {FINDING_OPEN}, reason = '', found_at = excluded.found_at RETURNING id"), true)
            .bind(task_id)
            .bind(finding.kind)
            .bind(finding.subject.clone())
            .bind(finding.detail.clone())
            .bind(i64::from(finding.left_to_gc))
            .bind(now())
            .fetch_one(&mut *self.tx)
            .await?;
            ids.push(id);
        }
        Ok(ids)
    }

    /// Says what became of findings.
    pub async fn end_findings(&mut self, ids: &[FindingId], state: FindingState) -> Result<()> {
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE fsck_findings SET state = $1 WHERE id IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(state)
                .bind_all(chunk.iter().copied());
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Says what became of the finding about an object, and why; 1 if that is new. A reason that was given stays.
    pub async fn end_finding_of(
        &mut self,
        task_id: TaskId,
        kind: &str,
        subject: &str,
        state: FindingState,
        reason: &str,
    ) -> Result<u64> {
        let done = sqlx::query(
            "UPDATE fsck_findings SET state = $1, reason = $2 WHERE task_id = $3 AND kind = $4 AND subject = $5 \
             AND (state <> $6 OR ($7 <> '' AND reason <> $7))",
        )
        .bind(state)
        .bind(reason.to_owned())
        .bind(task_id)
        .bind(kind.to_owned())
        .bind(subject.to_owned())
        .bind(state)
        .bind(reason.to_owned())
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }

    /// Says why findings were not mended.
    pub async fn explain_findings(&mut self, ids: &[FindingId], reason: &str) -> Result<()> {
        for id in ids {
            sqlx::query("UPDATE fsck_findings SET reason = $1 WHERE id = $2")
                .bind(reason.to_owned())
                .bind(*id)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    /// Gives the findings of a check that was cut off to the one that goes on.
    pub async fn inherit_findings(&mut self, from: TaskId, to: TaskId) -> Result<()> {
        sqlx::query("UPDATE fsck_findings SET task_id = $1 WHERE task_id = $2")
            .bind(to)
            .bind(from)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
