//! What runs look like on the wire.

use poem_openapi::Object;

use super::Error;
use crate::catalog::{RunFilter, RunRow};
use crate::http::wire;

/// A run of CI that has pushed. What is not known is not there.
#[derive(Debug, Object)]
pub(in crate::http) struct Run {
    /// Names the run in every other operation.
    pub id: String,
    /// It was recorded out of the claims of a verified token. If not, it is as its pusher has stated it.
    pub verified: bool,
    /// Who ran it: the name of the provider of its token, or as stated.
    pub provider: String,
    /// `owner/name`.
    pub repository: String,
    /// The number that the repository keeps when it is renamed.
    pub repository_id: Option<String>,
    /// Who the repository belongs to.
    pub owner: Option<String>,
    /// The number that the owner keeps.
    pub owner_id: Option<String>,
    /// Git's ref, as `refs/heads/main`.
    #[oai(rename = "ref")]
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// What made it run.
    pub event: Option<String>,
    /// Name of the workflow.
    pub workflow: Option<String>,
    /// Name of the job.
    pub job: Option<String>,
    /// The number of the job.
    pub job_id: Option<String>,
    /// The job's page.
    pub job_url: Option<String>,
    /// The number of the run.
    pub run_id: String,
    /// How often it was begun.
    pub run_attempt: Option<String>,
    /// Who made it run.
    pub actor: Option<String>,
    /// Its page.
    pub url: Option<String>,
    /// Number of the pull request.
    pub pull_request: Option<u64>,
    /// How it ended, as `success` or `failure`.
    pub conclusion: Option<String>,
    /// Unix time at which it was recorded.
    pub created_at: i64,
    /// Closures in the cache that it has pushed.
    pub closures: u64,
    /// Closures in the cache that it has reported as used.
    #[oai(skip_serializing_if_is_none)]
    pub closures_used: Option<u64>,
    /// It has reported all that it used.
    #[oai(skip_serializing_if_is_none)]
    pub uses_complete: Option<bool>,
}

impl Run {
    pub(in crate::http) fn of(row: RunRow) -> Self {
        let known = |text: String| (!text.is_empty()).then_some(text);
        let facts = row.facts;
        Self {
            id: row.token,
            verified: row.verified,
            provider: facts.provider,
            repository: facts.repository,
            repository_id: known(facts.repository_id),
            owner: known(facts.owner),
            owner_id: known(facts.owner_id),
            git_ref: known(facts.git_ref),
            sha: known(facts.sha),
            event: known(facts.event),
            workflow: known(facts.workflow),
            job: known(facts.job),
            job_id: known(facts.job_id),
            job_url: known(row.job_url),
            run_id: facts.run_id,
            run_attempt: known(facts.attempt),
            actor: known(facts.actor),
            url: known(facts.url),
            pull_request: u64::try_from(facts.pull_request)
                .ok()
                .filter(|number| *number > 0),
            conclusion: known(row.conclusion),
            created_at: row.created_at,
            closures: row.closures.unsigned_abs(),
            closures_used: Some(row.closures_used.unsigned_abs()),
            uses_complete: Some(row.uses_complete),
        }
    }
}

/// A page of runs.
#[derive(Debug, Object)]
pub(super) struct Runs {
    /// From the newest to the oldest.
    pub runs: Vec<Run>,
    /// Where the next page begins, if there is one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<String>,
}

/// What is added to what is known of a run; what is not given stays.
#[derive(Debug, Object)]
pub(super) struct CompleteRun {
    /// Name of the job.
    #[oai(skip_serializing_if_is_none)]
    pub job: Option<String>,
    /// The job's page, `http://…` or `https://…`.
    #[oai(skip_serializing_if_is_none)]
    pub job_url: Option<String>,
    /// The run's page, `http://…` or `https://…`.
    #[oai(skip_serializing_if_is_none)]
    pub url: Option<String>,
    /// Number of the pull request.
    #[oai(skip_serializing_if_is_none)]
    pub pull_request: Option<u64>,
    /// How it ended, as `success` or `failure`.
    #[oai(skip_serializing_if_is_none)]
    pub conclusion: Option<String>,
}

/// What a run has used.
#[derive(Debug, Object)]
pub(super) struct ReportUses {
    /// Base names of paths that it had from the cache, at most 5000. Of paths that refer to each other, those that no
    /// other one refers to are enough.
    pub paths: Vec<String>,
    /// This report, with those before it, has all that the job used.
    #[oai(default)]
    pub complete: bool,
}

/// What was made of a report of uses.
#[derive(Debug, Object)]
pub(super) struct ReportedUses {
    /// How many of the paths the cache has.
    pub used: u64,
    /// The run.
    pub run: Run,
}

/// Which runs are asked for, as sent.
#[derive(Debug)]
pub(in crate::http) struct Filter {
    pub repository: Option<String>,
    pub git_ref: Option<String>,
    pub pull_request: Option<u64>,
    pub since: Option<u64>,
    pub until: Option<u64>,
}

impl Filter {
    /// Checks every field.
    ///
    /// # Errors
    /// 422, naming the field.
    pub(in crate::http) fn checked(self) -> Result<RunFilter, Error> {
        let number = |field: &str, value: Option<u64>| {
            value
                .map(|value| {
                    i64::try_from(value).map_err(|_| Error::invalid(field, "that number is too large"))
                })
                .transpose()
        };
        Ok(RunFilter {
            repository: wire::wanted("repository", self.repository)?,
            git_ref: wire::wanted("ref", self.git_ref)?,
            pull_request: number("pull_request", self.pull_request)?,
            since: number("since", self.since)?,
            until: number("until", self.until)?,
        })
    }
}
