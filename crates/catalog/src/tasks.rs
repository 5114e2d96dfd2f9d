//! Tasks that go on without a request, garbage collections and checks: which are under
//! way, what they have done, what those before did.

use super::columns::codes;
use super::states::{TASK_DONE, TASK_RUNNING};
use super::{Catalog, Result, TaskId, WriteTx, in_clause, now, short_leases};

/// What a task does. One of each kind is under way at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// Collecting garbage.
    Gc,
    /// Comparing bucket and database.
    Fsck,
}

impl TaskKind {
    /// As the database has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gc => "gc",
            Self::Fsck => "fsck",
        }
    }

    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Gc => "garbage collection",
            Self::Fsck => "check",
        }
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// Under way.
    Running,
    /// It did all that it could.
    Done,
    /// It ended early; the next one goes on.
    Failed,
    /// The server stopped, or somebody asked for it; the next one goes on.
    Cancelled,
}

codes!(
    TaskState,
    "task state",
    Running = 0,
    Done = 1,
    Failed = 2,
    Cancelled = 3
);

/// A task.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct TaskRow {
    /// Id in the database; later ones are greater.
    pub id: TaskId,
    /// The name that clients know it by.
    pub token: String,
    /// Who asked for it.
    pub identity: String,
    /// What was asked for, as JSON.
    pub request: String,
    /// Where it stands.
    pub state: TaskState,
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

impl TaskRow {
    /// Its process works on it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == TaskState::Running && !self.abandoned()
    }

    /// Its process died, or has lost the database.
    #[must_use]
    pub fn abandoned(&self) -> bool {
        self.state == TaskState::Running && !short_leases::is_held(self.lease_until)
    }
}

const COLUMNS: &str =
    "id, token, identity, request, state, progress, error, started_at, lease_until, finished_at";

impl Catalog {
    /// The task of that kind and name.
    pub async fn task(&self, kind: TaskKind, token: &str) -> Result<Option<TaskRow>> {
        let text = format!("SELECT {COLUMNS} FROM tasks WHERE token = $1 AND kind = $2");
        let row = in_clause::query_as(self.backend, text, true)
            .bind(token.to_owned())
            .bind(kind.as_str())
            .fetch_optional(&self.reader)
            .await?;
        Ok(row)
    }

    /// What the last whole garbage collection has done, as JSON; nothing before the first.
    pub async fn last_gc_progress(&self) -> Result<String> {
        let text = format!(
            "SELECT progress FROM tasks WHERE kind = 'gc' AND state = {TASK_DONE} AND request NOT LIKE '%\"dry_run\":true%' \
             AND request NOT LIKE '%\"only\":[%' ORDER BY id DESC LIMIT 1"
        );
        let row: Option<String> = in_clause::query_scalar(self.backend, text, true)
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.unwrap_or_default())
    }

    /// The name of a task that is there.
    pub async fn task_token(&self, id: TaskId) -> Result<String> {
        Ok(sqlx::query_scalar("SELECT token FROM tasks WHERE id = $1")
            .bind(id)
            .fetch_one(&self.reader)
            .await?)
    }

    /// Tasks of a kind from the newest to the oldest, before one.
    pub async fn tasks(&self, kind: TaskKind, before: Option<TaskId>, limit: i64) -> Result<Vec<TaskRow>> {
        let text =
            format!("SELECT {COLUMNS} FROM tasks WHERE kind = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(kind.as_str())
            .bind(before.unwrap_or(TaskId::from(i64::MAX)))
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// Says how far a task is, and that its process lives; false when it is no longer the
    /// one under way.
    pub async fn report_task(&self, id: TaskId, progress: &str, lease: i64) -> Result<bool> {
        let now = now();
        let done = in_clause::query(self.backend, format!("UPDATE tasks SET progress = $1, lease_until = $2 WHERE id = $3 AND state = {TASK_RUNNING} AND lease_until > $4"), true)
        .bind(progress.to_owned())
        .bind(now + lease)
        .bind(id)
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

/// What is needed to begin a task.
#[derive(Debug)]
pub struct NewTask<'a> {
    /// What it does.
    pub kind: TaskKind,
    /// The name that clients get for it.
    pub token: &'a str,
    /// Who asked for it.
    pub identity: &'a str,
    /// What was asked for, as JSON.
    pub request: &'a str,
    /// Phase and counts, as JSON.
    pub progress: &'a str,
    /// Seconds without a sign of life after which it counts as abandoned.
    pub lease: i64,
}

impl WriteTx {
    /// The newest task of a kind, if there is one.
    pub async fn last_task(&mut self, kind: TaskKind) -> Result<Option<TaskRow>> {
        let text = format!("SELECT {COLUMNS} FROM tasks WHERE kind = $1 ORDER BY id DESC LIMIT 1");
        let row = in_clause::query_as(self.backend, text, true)
            .bind(kind.as_str())
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(row)
    }

    /// Begins a task. From the beginning of a garbage collection on, what commits decide
    /// is noted.
    pub async fn begin_task(&mut self, new: &NewTask<'_>) -> Result<TaskId> {
        let now = now();
        let id: TaskId = sqlx::query_scalar(
            "INSERT INTO tasks (kind, token, identity, request, progress, started_at, lease_until) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        )
        .bind(new.kind.as_str())
        .bind(new.token.to_owned())
        .bind(new.identity.to_owned())
        .bind(new.request.to_owned())
        .bind(new.progress.to_owned())
        .bind(now)
        .bind(now + new.lease)
        .fetch_one(&mut *self.tx)
        .await?;
        if new.kind == TaskKind::Gc {
            sqlx::query("DELETE FROM gc_dirty").execute(&mut *self.tx).await?;
            sqlx::query("UPDATE counters SET value = $1 WHERE name = 'gc'")
                .bind(id)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(id)
    }

    /// Whether a task is still the one under way, so that it may go on.
    pub async fn holds_task(&mut self, id: TaskId) -> Result<bool> {
        let row = in_clause::query(
            self.backend,
            format!("SELECT 1 FROM tasks WHERE id = $1 AND state = {TASK_RUNNING} AND lease_until > $2"),
            true,
        )
        .bind(id)
        .bind(now())
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(row.is_some())
    }

    /// Ends a task; false when it had ended.
    pub async fn end_task(
        &mut self,
        id: TaskId,
        state: TaskState,
        progress: Option<&str>,
        error: &str,
    ) -> Result<bool> {
        let done = in_clause::query(self.backend, format!("UPDATE tasks SET state = $1, progress = COALESCE($2, progress), error = $3, finished_at = $4 \
             WHERE id = $5 AND state = {TASK_RUNNING}"), true)
        .bind(state)
        .bind(progress.map(str::to_owned))
        .bind(error.to_owned())
        .bind(now())
        .bind(id)
        .execute(&mut *self.tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let collected = sqlx::query("UPDATE counters SET value = 0 WHERE name = 'gc' AND value = $1")
            .bind(id)
            .execute(&mut *self.tx)
            .await?;
        if collected.rows_affected() == 1 {
            sqlx::query("DELETE FROM gc_dirty").execute(&mut *self.tx).await?;
        }
        Ok(true)
    }

    /// Forgets all tasks of a kind but the newest ones.
    pub async fn trim_tasks(&mut self, kind: TaskKind, keep: i64) -> Result<()> {
        in_clause::query(
            self.backend,
            format!(
                "DELETE FROM tasks WHERE kind = $1 AND state <> {TASK_RUNNING} AND id <= \
             (SELECT id FROM tasks WHERE kind = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)"
            ),
            true,
        )
        .bind(kind.as_str())
        .bind(kind.as_str())
        .bind(keep)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}
