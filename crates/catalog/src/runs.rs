//! Runs of CI, and the closures that they have pushed.

use niks3_nix::store_path::StorePath;
use sha2::{Digest as _, Sha256};

use super::columns::{Flag, column};
use super::query_filter::{Condition, SelectBuilder, Value};
use super::states::{PUSH_COMMITTING, PUSH_OPEN};
use super::{Catalog, PushId, Result, RunId, WriteTx, in_clause, now};

/// What is known of a run. Texts are empty, and the pull request 0, where it is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct RunFacts {
    /// Who ran it: the name of the provider of its token, or what its pusher says.
    pub provider: String,
    /// `owner/name`.
    pub repository: String,
    /// The number that the repository keeps when it is renamed.
    pub repository_id: String,
    /// Who the repository belongs to.
    pub owner: String,
    /// The number that the owner keeps.
    pub owner_id: String,
    /// Git's ref, as `refs/heads/main`.
    pub git_ref: String,
    /// The commit.
    pub sha: String,
    /// What made it run.
    pub event: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Name of the job.
    pub job: String,
    /// The number of the job.
    pub job_id: String,
    /// The number of the run.
    pub run_id: String,
    /// How often it was begun.
    pub attempt: String,
    /// Who made it run.
    pub actor: String,
    /// Its page.
    pub url: String,
    /// Number of the pull request.
    pub pull_request: i64,
}

/// A run to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// What is known of it.
    pub facts: RunFacts,
    /// It comes out of the claims of a verified token.
    pub verified: bool,
    /// The pull request is one of the claims, and stays as it is.
    pub pull_request_claimed: bool,
    /// The page is one of the claims, and stays as it is.
    pub url_claimed: bool,
    /// Who records it.
    pub identity: String,
}

impl NewRun {
    /// What makes it the same run: a verified one is never the same as one that is merely stated.
    #[must_use]
    pub fn key(&self) -> String {
        let facts = &self.facts;
        let job = if facts.job_id.is_empty() {
            &facts.job
        } else {
            &facts.job_id
        };
        let mut hash = Sha256::new();
        let kind = if self.verified { "verified" } else { "stated" };
        for part in [
            kind,
            &facts.provider,
            &facts.repository,
            &facts.repository_id,
            &facts.run_id,
            &facts.attempt,
            job,
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hex::encode(hash.finalize())
    }
}

impl RunFacts {
    /// Whether it says which run it is.
    #[must_use]
    pub fn is_run(&self) -> bool {
        !self.provider.is_empty() && !self.repository.is_empty() && !self.run_id.is_empty()
    }

    /// Whether both are of one attempt of one run.
    #[must_use]
    pub fn same_attempt(&self, other: &Self) -> bool {
        let part = |facts: &Self| {
            (
                facts.provider.clone(),
                facts.repository.clone(),
                facts.repository_id.clone(),
                facts.run_id.clone(),
                facts.attempt.clone(),
            )
        };
        part(self) == part(other)
    }
}

/// A run.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RunRow {
    /// Id in the database; later runs have larger ones.
    pub id: RunId,
    /// The name that clients know it by.
    pub token: String,
    /// Who recorded it.
    pub identity: String,
    /// It comes out of the claims of a verified token.
    #[sqlx(try_from = "Flag")]
    pub verified: bool,
    /// The pull request is one of the claims.
    #[sqlx(rename = "claimed", try_from = "PullRequestClaimed")]
    pub pull_request_claimed: bool,
    /// The page is one of the claims.
    #[sqlx(rename = "claimed", try_from = "UrlClaimed")]
    pub url_claimed: bool,
    /// What is known of it.
    #[sqlx(flatten)]
    pub facts: RunFacts,
    /// How it ended, or nothing.
    pub conclusion: String,
    /// The job's page, or nothing.
    pub job_url: String,
    /// Unix time at which it was recorded.
    pub created_at: i64,
    /// Closures in the cache that it has pushed.
    pub closures: i64,
    /// Closures in the cache that it has reported as used.
    pub closures_used: i64,
    /// It has reported all that it used.
    #[sqlx(try_from = "Flag")]
    pub uses_complete: bool,
}

/// Which runs a listing is about; what is `None` is not looked at.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// `owner/name`.
    pub repository: Option<String>,
    /// Git's ref.
    pub git_ref: Option<String>,
    /// Number of a pull request.
    pub pull_request: Option<i64>,
    /// From this Unix time on.
    pub since: Option<i64>,
    /// Before this Unix time.
    pub until: Option<i64>,
}

impl RunFilter {
    /// What is asked of the runs, apart from their time.
    pub(super) fn filters(&self) -> Vec<Condition> {
        let text = |text: &String| vec![Value::Text(text.clone())];
        let mut filters = Vec::new();
        filters.extend(
            self.repository
                .as_ref()
                .map(|value| ("r.repository = $", text(value))),
        );
        filters.extend(self.git_ref.as_ref().map(|value| ("r.git_ref = $", text(value))));
        filters.extend(
            self.pull_request
                .map(|number| ("r.pull_request = $", vec![Value::Number(number)])),
        );
        filters
    }
}

/// What is added to what is known of a run; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct RunCompletion {
    /// Name of the job.
    pub job: Option<String>,
    /// Its page.
    pub url: Option<String>,
    /// Number of the pull request.
    pub pull_request: Option<i64>,
    /// How it ended.
    pub conclusion: Option<String>,
    /// The job's page.
    pub job_url: Option<String>,
}

const SELECT: &str = "SELECT r.id, r.token, r.identity, r.verified, r.claimed, r.provider, r.repository, r.repository_id, \
     r.owner, r.owner_id, r.git_ref, r.sha, r.event, r.workflow, r.job, r.job_id, r.run_id, r.attempt, r.actor, r.url, \
     r.pull_request, r.conclusion, r.created_at, (SELECT COUNT(*) FROM closure_runs l WHERE l.run_id = r.id) AS closures, r.job_url, \
     (SELECT COUNT(*) FROM closure_uses l WHERE l.run_id = r.id) AS closures_used, r.uses_complete FROM runs r";

const PULL_REQUEST: i64 = 1;
const URL: i64 = 2;

column!(
    /// The claims say what pull request it is.
    PullRequestClaimed(i64) -> bool,
    |claimed| Ok(claimed & PULL_REQUEST != 0)
);
column!(
    /// The claims say what its URL is.
    UrlClaimed(i64) -> bool,
    |claimed| Ok(claimed & URL != 0)
);

impl Catalog {
    /// Runs from the newest to the oldest, before one; with a path, those that have pushed its closure.
    pub async fn runs(
        &self,
        filter: &RunFilter,
        closure: Option<&StorePath>,
        before: Option<RunId>,
        limit: i64,
    ) -> Result<Vec<RunRow>> {
        let mut listing = SelectBuilder::of(SELECT);
        for condition in filter.filters() {
            listing.and(condition);
        }
        if let Some(since) = filter.since {
            listing.and(("r.created_at >= $", vec![Value::Number(since)]));
        }
        if let Some(until) = filter.until {
            listing.and(("r.created_at < $", vec![Value::Number(until)]));
        }
        if let Some(path) = closure {
            let question = "r.id IN (SELECT l.run_id FROM closure_runs l JOIN closures c ON c.id = l.closure_id \
                 JOIN paths p ON p.id = c.path_id";
            let is = vec![
                Value::Text(path.hash_part().to_owned()),
                Value::Text(path.to_string()),
            ];
            listing.and_among(question, vec![("p.hash = $ AND p.name = $", is)]);
        }
        if let Some(before) = before {
            listing.and(("r.id < $", vec![Value::Number(before.get())]));
        }
        let rows = listing
            .page(self.backend, &self.reader, " ORDER BY r.id DESC", limit)
            .await?;
        Ok(rows)
    }

    /// The run of that name.
    pub async fn run(&self, token: &str) -> Result<Option<RunRow>> {
        let row = in_clause::query_as(self.backend, format!("{SELECT} WHERE r.token = $1"), true)
            .bind(token.to_owned())
            .fetch_optional(&self.reader)
            .await?;
        Ok(row)
    }
}

impl WriteTx {
    /// The run of that name, as it stands inside the transaction.
    pub async fn run(&mut self, token: &str) -> Result<Option<RunRow>> {
        let row = in_clause::query_as(self.backend, format!("{SELECT} WHERE r.token = $1"), true)
            .bind(token.to_owned())
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(row)
    }

    /// Records a run, or adds to it what was not known; its id and name.
    pub async fn record_run(&mut self, new: &NewRun, token: &str) -> Result<(RunId, String)> {
        let flag = |is: bool, bit: i64| if is { bit } else { 0 };
        let claimed = flag(new.pull_request_claimed, PULL_REQUEST) | flag(new.url_claimed, URL);
        let text = "INSERT INTO runs (token, run_key, identity, verified, claimed, provider, repository, repository_id, \
             owner, owner_id, git_ref, sha, event, workflow, job, job_id, run_id, attempt, actor, url, pull_request, \
             created_at, used_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23) \
             ON CONFLICT (run_key) DO UPDATE SET used_at = excluded.used_at, \
             job = CASE WHEN runs.job = '' THEN excluded.job ELSE runs.job END, \
             url = CASE WHEN runs.url = '' THEN excluded.url ELSE runs.url END, \
             pull_request = CASE WHEN runs.pull_request = 0 THEN excluded.pull_request ELSE runs.pull_request END \
             RETURNING id, token";
        let facts = &new.facts;
        Ok(sqlx::query_as(text)
            .bind(token.to_owned())
            .bind(new.key())
            .bind(new.identity.clone())
            .bind(i64::from(new.verified))
            .bind(claimed)
            .bind(facts.provider.clone())
            .bind(facts.repository.clone())
            .bind(facts.repository_id.clone())
            .bind(facts.owner.clone())
            .bind(facts.owner_id.clone())
            .bind(facts.git_ref.clone())
            .bind(facts.sha.clone())
            .bind(facts.event.clone())
            .bind(facts.workflow.clone())
            .bind(facts.job.clone())
            .bind(facts.job_id.clone())
            .bind(facts.run_id.clone())
            .bind(facts.attempt.clone())
            .bind(facts.actor.clone())
            .bind(facts.url.clone())
            .bind(facts.pull_request)
            .bind(now())
            .bind(now())
            .fetch_one(&mut *self.tx)
            .await?)
    }

    /// Adds to what is known of a run.
    pub async fn complete_run(&mut self, run: &RunRow, completion: &RunCompletion) -> Result<()> {
        let or = |new: &Option<String>, old: &String| new.clone().unwrap_or_else(|| old.clone());
        sqlx::query(
            "UPDATE runs SET job = $1, url = $2, pull_request = $3, conclusion = $4, job_url = $5, used_at = $6 \
             WHERE id = $7",
        )
        .bind(or(&completion.job, &run.facts.job))
        .bind(or(&completion.url, &run.facts.url))
        .bind(completion.pull_request.unwrap_or(run.facts.pull_request))
        .bind(or(&completion.conclusion, &run.conclusion))
        .bind(or(&completion.job_url, &run.job_url))
        .bind(now())
        .bind(run.id)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Notes that the run of a push has pushed its roots, which are closures by now.
    pub(super) async fn add_closure_runs(&mut self, push_id: PushId) -> Result<()> {
        sqlx::query(
            "INSERT INTO closure_runs (closure_id, run_id, pushed_at) SELECT c.id, r.id, $1 FROM pushes u \
             JOIN runs r ON r.id = u.run_id JOIN push_roots o ON o.push_id = u.id JOIN closures c ON c.path_id = o.path_id \
             WHERE u.id = $2 ON CONFLICT (closure_id, run_id) DO UPDATE SET pushed_at = excluded.pushed_at",
        )
        .bind(now())
        .bind(push_id)
        .execute(&mut *self.tx)
        .await?;
        sqlx::query("UPDATE runs SET used_at = $1 WHERE id = (SELECT run_id FROM pushes WHERE id = $2)")
            .bind(now())
            .bind(push_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Deletes runs that are as old, that have neither pushed nor used a closure in the cache, and that have no push in progress.
    pub async fn drop_runs(&mut self, before: i64) -> Result<u64> {
        let done = in_clause::query(self.backend, format!("DELETE FROM runs WHERE used_at <= $1 AND NOT EXISTS (SELECT 1 FROM closure_runs l WHERE l.run_id = runs.id) \
             AND NOT EXISTS (SELECT 1 FROM closure_uses l WHERE l.run_id = runs.id) \
             AND NOT EXISTS (SELECT 1 FROM pushes q WHERE q.run_id = runs.id AND q.state IN ({PUSH_OPEN}, {PUSH_COMMITTING}))"), true)
        .bind(before)
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }
}
