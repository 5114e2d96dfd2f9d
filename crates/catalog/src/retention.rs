//! What retention is judged by: runs, closures, and which runs have pushed and used which closures, page by page.

use std::collections::HashSet;

use super::columns::{EndTime, Flag};
use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::{PRESENT, PUBLISHING};
use super::states::{CLAIM_EXTERNAL, PUSH_COMMITTING, PUSH_OPEN};
use super::{Catalog, ClosureId, PathId, Result, RunId};

/// A run, as far as it is judged.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct JudgedRun {
    /// Id of the row.
    pub id: RunId,
    /// The name that clients know it by.
    pub token: String,
    /// It comes out of the claims of a verified token.
    #[sqlx(try_from = "Flag")]
    pub verified: bool,
    /// The pull request is one of the claims.
    #[sqlx(rename = "claimed", try_from = "super::runs::PullRequestClaimed")]
    pub pull_request_claimed: bool,
    /// Who ran it.
    pub provider: String,
    /// `owner/name`.
    pub repository: String,
    /// The number that the repository keeps when it is renamed.
    pub repository_id: String,
    /// Git's ref.
    pub git_ref: String,
    /// What made it run.
    pub event: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Name of the job.
    pub job: String,
    /// The number of the run.
    pub run_id: String,
    /// How often it was begun.
    pub attempt: String,
    /// Number of the pull request.
    pub pull_request: i64,
    /// How it ended, or nothing.
    pub conclusion: String,
    /// It has reported all that it used.
    #[sqlx(try_from = "Flag")]
    pub uses_complete: bool,
    /// Unix time at which it was recorded.
    pub created_at: i64,
}

/// A closure, as far as it is judged.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct JudgedClosure {
    /// Id of the closure.
    pub id: ClosureId,
    /// Id of its root.
    pub path_id: PathId,
    /// Base name of its root.
    #[sqlx(rename = "name")]
    pub root: String,
    /// Unix time of its last push.
    pub pushed_at: i64,
    /// Unix time of its last use.
    pub used_at: i64,
    /// Unix time of its last push without a run.
    #[sqlx(rename = "direct_at", try_from = "EndTime")]
    pub direct_at: Option<i64>,
    /// Unix time at which it was released.
    #[sqlx(rename = "released_at", try_from = "EndTime")]
    pub released_at: Option<i64>,
    /// Token of the garbage collection that has released it; nothing if somebody has by hand.
    pub released_by: String,
}

/// A push or use of a closure by a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct JudgedLink {
    /// The closure.
    pub closure_id: ClosureId,
    /// The run.
    pub run_id: RunId,
    /// Unix time.
    pub at: i64,
}

const CLOSURES: &str = "SELECT c.id, c.path_id, p.name, c.pushed_at, c.used_at, c.direct_at, c.released_at, c.released_by \
     FROM closures c JOIN paths p ON p.id = c.path_id";

impl Catalog {
    /// Runs in the order of their ids, after one.
    pub async fn judged_runs(&self, after: RunId, limit: i64) -> Result<Vec<JudgedRun>> {
        let rows = sqlx::query_as(
            "SELECT id, token, verified, claimed, provider, repository, repository_id, git_ref, event, workflow, job, run_id, \
             attempt, pull_request, conclusion, uses_complete, created_at FROM runs WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// Closures in the order of their ids, after one.
    pub async fn judged_closures(&self, after: ClosureId, limit: i64) -> Result<Vec<JudgedClosure>> {
        let text = format!("{CLOSURES} WHERE c.id > $1 ORDER BY c.id LIMIT $2");
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// Released closures in the order of their ids, after one.
    pub async fn released_page(&self, after: ClosureId, limit: i64) -> Result<Vec<JudgedClosure>> {
        let text = format!("{CLOSURES} WHERE c.released_at <> 0 AND c.id > $1 ORDER BY c.id LIMIT $2");
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// The closures with some roots, by their base names, that were released by hand.
    pub async fn released_by_hand(&self, roots: &[String]) -> Result<Vec<JudgedClosure>> {
        let mut found = Vec::new();
        for chunk in roots.chunks(ROWS) {
            let text = format!(
                "{CLOSURES} WHERE c.released_at <> 0 AND c.released_by = '' AND p.name IN ({}) AND p.hash IN ({})",
                in_clause::placeholders(1, chunk.len()),
                in_clause::placeholders(chunk.len() + 1, chunk.len())
            );
            let hashes = chunk
                .iter()
                .map(|root| root.get(..32).unwrap_or_default().to_owned());
            let query = in_clause::query_as(self.backend, text, false)
                .bind_all(chunk.iter().cloned())
                .bind_all(hashes);
            found.extend(query.fetch_all(&self.reader).await?);
        }
        Ok(found)
    }

    /// Which runs have pushed which closures, after one of that list.
    pub async fn judged_pushes(&self, after: (ClosureId, RunId), limit: i64) -> Result<Vec<JudgedLink>> {
        let text = "SELECT closure_id, run_id, pushed_at AS at FROM closure_runs \
             WHERE closure_id > $1 OR (closure_id = $1 AND run_id > $2) ORDER BY closure_id, run_id LIMIT $3";
        self.links(text, after, limit).await
    }

    /// Which runs have used which closures, after one of that list.
    pub async fn judged_uses(&self, after: (ClosureId, RunId), limit: i64) -> Result<Vec<JudgedLink>> {
        let text = "SELECT closure_id, run_id, used_at AS at FROM closure_uses \
             WHERE closure_id > $1 OR (closure_id = $1 AND run_id > $2) ORDER BY closure_id, run_id LIMIT $3";
        self.links(text, after, limit).await
    }

    async fn links(
        &self,
        text: &'static str,
        after: (ClosureId, RunId),
        limit: i64,
    ) -> Result<Vec<JudgedLink>> {
        let rows = sqlx::query_as(text)
            .bind(after.0)
            .bind(after.1)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// Ids of the paths that pins name, and that the objects of pins may still name.
    pub async fn pinned_paths(&self) -> Result<HashSet<PathId>> {
        let rows: Vec<PathId> =
            sqlx::query_scalar("SELECT path_id FROM pins UNION SELECT path_id FROM pin_targets")
                .fetch_all(&self.reader)
                .await?;
        Ok(rows.into_iter().collect())
    }

    /// Ids of the paths that pushes in progress need.
    pub async fn paths_in_pushes(&self) -> Result<HashSet<PathId>> {
        let text = format!(
            "SELECT o.path_id FROM push_roots o JOIN pushes q ON q.id = o.push_id WHERE q.state IN ({PUSH_OPEN}, {PUSH_COMMITTING}) \
             UNION SELECT c.path_id FROM push_paths c JOIN pushes q ON q.id = c.push_id \
             WHERE q.state IN ({PUSH_OPEN}, {PUSH_COMMITTING}) AND c.kind <> {CLAIM_EXTERNAL}"
        );
        let rows: Vec<PathId> = in_clause::query_scalar(self.backend, text, true)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// The path of that base name, if the cache has it.
    pub async fn cached_path(&self, path: &niks3_nix::store_path::StorePath) -> Result<Option<PathId>> {
        let text = format!(
            "SELECT id FROM paths WHERE hash = $1 AND name = $2 AND state IN ({PUBLISHING}, {PRESENT})"
        );
        let row = in_clause::query_scalar(self.backend, text, true)
            .bind(path.hash_part().to_owned())
            .bind(path.to_string())
            .fetch_optional(&self.reader)
            .await?;
        Ok(row)
    }
}
