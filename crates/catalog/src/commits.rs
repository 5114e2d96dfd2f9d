//! Commits: who works on one, and how far it is.
//!
//! One attempt at a time works on the commit of a push, whichever server it runs on: it holds a
//! lease in the row of the push. Whoever asks for the same commit meanwhile waits for its result,
//! which is in that row as well. An attempt whose server has died stops renewing its lease, and
//! the next one goes on from what the database says.
//!
//! A push is *committing* from the moment at which nothing more can be claimed or announced for it.
//! Its paths are decided in slices from then on, each after all that it refers to: however few are
//! decided when an attempt ends, every decided path can be published.

use super::states::{PUSH_COMMITTED, PUSH_COMMITTING, PUSH_OPEN};
use super::{Catalog, PushId, PushState, Result, WriteTx, in_clause, now, short_leases};

/// An attempt to commit a push.
#[derive(Debug, Clone)]
pub struct CommitAttempt {
    /// Id of the push.
    pub push_id: PushId,
    /// Name of the attempt: what it writes in the database it writes only while it holds the lease.
    pub owner: String,
}

/// How the commit of a push stands.
#[derive(Debug, Clone)]
pub struct CommitStatus {
    /// State of the push.
    pub state: PushState,
    /// What the commit answered, as JSON, when it is done.
    pub result: String,
    /// The attempt that holds the lease, or held it last.
    pub owner: String,
    /// Unix time at which its lease ends; 0 when it has ended itself.
    pub owned_until: i64,
    /// How it failed, as JSON; empty when it did not, or has not yet.
    pub problem: String,
    /// The lease of the push itself has run out.
    pub expired: bool,
}

impl CommitStatus {
    /// An attempt holds the lease.
    #[must_use]
    pub fn in_progress(&self) -> bool {
        short_leases::is_held(self.owned_until)
    }
}

/// What [`WriteTx::begin_commit`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitBegin {
    /// The push is committing.
    Begun,
    /// Something was claimed or announced since it was looked at.
    Changed,
    /// The lease of the push or of the attempt has run out, or the push has ended.
    Over,
}

impl Catalog {
    /// How the commit of a push stands; `None` when the push is forgotten.
    pub async fn commit_status(&self, push_id: PushId) -> Result<Option<CommitStatus>> {
        let row: Option<(PushState, String, String, i64, String, i64)> = sqlx::query_as(
            "SELECT state, result, commit_owner, commit_until, commit_problem, lease_until FROM pushes WHERE id = $1",
        )
        .bind(push_id)
        .fetch_optional(&self.reader)
        .await?;
        Ok(row.map(
            |(state, result, owner, owned_until, problem, lease_until)| CommitStatus {
                state,
                result,
                owner,
                owned_until,
                problem,
                expired: state.is_live() && lease_until <= now(),
            },
        ))
    }

    /// Takes the lease of a commit for so many seconds; false when another attempt holds it, or
    /// the push has ended.
    pub async fn lease_commit(&self, attempt: &CommitAttempt, seconds: i64) -> Result<bool> {
        let now = now();
        let text = format!(
            "UPDATE pushes SET commit_owner = $1, commit_until = $2, commit_problem = '' \
             WHERE id = $3 AND state IN ({PUSH_OPEN}, {PUSH_COMMITTING}) AND lease_until > $4 AND {}",
            short_leases::over("commit_until", "$4")
        );
        let done = in_clause::query(self.backend, text, true)
            .bind(attempt.owner.clone())
            .bind(now + seconds)
            .bind(attempt.push_id)
            .bind(now)
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Renews the lease of a push and that of the attempt to commit it; false when the attempt
    /// no longer holds it, or the push has ended otherwise than by being committed.
    pub async fn renew_commit(&self, attempt: &CommitAttempt, lease: i64, seconds: i64) -> Result<bool> {
        let now = now();
        let done = in_clause::query(self.backend, format!("UPDATE pushes SET lease_until = CASE WHEN state = {PUSH_COMMITTED} THEN lease_until ELSE $1 END, \
             commit_until = CASE WHEN state = {PUSH_COMMITTED} THEN commit_until ELSE $2 END \
             WHERE id = $3 AND commit_owner = $4 AND (state = {PUSH_COMMITTED} OR (state <= {PUSH_COMMITTING} AND lease_until > $5))"), true)
        .bind(now + lease)
        .bind(now + seconds)
        .bind(attempt.push_id)
        .bind(attempt.owner.clone())
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives the lease back after a failure, which is kept for those who wait for this attempt.
    pub async fn fail_commit(&self, attempt: &CommitAttempt, problem: &str) -> Result<()> {
        sqlx::query(
            "UPDATE pushes SET commit_until = 0, commit_problem = $1 WHERE id = $2 AND commit_owner = $3",
        )
        .bind(problem.to_owned())
        .bind(attempt.push_id)
        .bind(attempt.owner.clone())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Ends the leases of all commits: for a start at which no other server can be at work.
    pub async fn end_commit_leases(&self) -> Result<()> {
        sqlx::query("UPDATE pushes SET commit_until = 0 WHERE commit_until <> 0")
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

impl WriteTx {
    /// Moves a push to *committing*, if it is as it was looked at.
    pub async fn begin_commit(&mut self, attempt: &CommitAttempt, revision: i64) -> Result<CommitBegin> {
        let row: Option<(PushState, i64, i64, String)> =
            sqlx::query_as("SELECT state, lease_until, revision, commit_owner FROM pushes WHERE id = $1")
                .bind(attempt.push_id)
                .fetch_optional(&mut *self.tx)
                .await?;
        let Some((state, lease_until, current, owner)) = row else {
            return Ok(CommitBegin::Over);
        };
        if owner != attempt.owner || !state.is_live() || lease_until <= now() {
            return Ok(CommitBegin::Over);
        }
        if state == PushState::Open && current != revision {
            return Ok(CommitBegin::Changed);
        }
        in_clause::query(
            self.backend,
            format!("UPDATE pushes SET state = {PUSH_COMMITTING} WHERE id = $1"),
            true,
        )
        .bind(attempt.push_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(CommitBegin::Begun)
    }

    /// Opens a push again of which nothing has been published: something is missing that was there
    /// when its commit began. What has been decided stays decided.
    pub async fn reopen_push(&mut self, attempt: &CommitAttempt) -> Result<()> {
        in_clause::query(
            self.backend,
            format!(
                "UPDATE pushes SET state = {PUSH_OPEN}, revision = revision + 1 \
             WHERE id = $1 AND state = {PUSH_COMMITTING} AND commit_owner = $2"
            ),
            true,
        )
        .bind(attempt.push_id)
        .bind(attempt.owner.clone())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Whether the attempt may still change what its push is about: the push is *committing*, and
    /// both leases are good.
    pub(super) async fn may_commit(&mut self, attempt: &CommitAttempt) -> Result<bool> {
        let row = in_clause::query(self.backend, format!("SELECT 1 FROM pushes WHERE id = $1 AND state = {PUSH_COMMITTING} AND commit_owner = $2 AND lease_until > $3"), true)
        .bind(attempt.push_id)
        .bind(attempt.owner.clone())
        .bind(now())
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(row.is_some())
    }
}
