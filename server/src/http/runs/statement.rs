//! What whoever pushes says of the run it is in.

use poem_openapi::Object;
use url::Url;

use crate::catalog::RunFacts;
use crate::error::Error;

/// Most bytes of a text.
const MAX: usize = 512;

/// What a pusher says of the run it is in. Whatever the verified claims of its token say stays as they
/// say it; without claims it takes the admin token to state a run, and `provider`, `repository` and `run_id`
/// have to be given.
#[derive(Debug, Clone, Default, Object)]
#[oai(rename = "RunStatement")]
pub struct Statement {
    /// Who runs it, as `github`.
    pub provider: Option<String>,
    /// `owner/name`.
    pub repository: Option<String>,
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
    /// The number of the job, which tells jobs of one name apart.
    pub job_id: Option<String>,
    /// The number of the run.
    pub run_id: Option<String>,
    /// How often it was begun.
    pub run_attempt: Option<String>,
    /// Who made it run.
    pub actor: Option<String>,
    /// Its page, `http://…` or `https://…`.
    pub url: Option<String>,
    /// Number of the pull request.
    pub pull_request: Option<u64>,
}

impl Statement {
    /// Checks every field.
    ///
    /// # Errors
    /// `Invalid`, naming the field under the name of the object it is in.
    pub fn facts(self, object: &str) -> Result<RunFacts, Error> {
        let field = |name: &str| {
            if object.is_empty() {
                name.to_owned()
            } else {
                format!("{object}.{name}")
            }
        };
        let text = |name: &str, value: Option<String>| checked_text(&field(name), value);
        Ok(RunFacts {
            provider: text("provider", self.provider)?,
            repository: text("repository", self.repository)?,
            repository_id: text("repository_id", self.repository_id)?,
            owner: text("owner", self.owner)?,
            owner_id: text("owner_id", self.owner_id)?,
            git_ref: text("ref", self.git_ref)?,
            sha: text("sha", self.sha)?,
            event: text("event", self.event)?,
            workflow: text("workflow", self.workflow)?,
            job: text("job", self.job)?,
            job_id: text("job_id", self.job_id)?,
            run_id: text("run_id", self.run_id)?,
            attempt: text("run_attempt", self.run_attempt)?,
            actor: text("actor", self.actor)?,
            url: checked_url(&field("url"), self.url)?,
            pull_request: checked_number(&field("pull_request"), self.pull_request)?,
        })
    }
}

/// A text that can be shown and kept.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn checked_text(field: &str, value: Option<String>) -> Result<String, Error> {
    let value = value.unwrap_or_default();
    if value.len() > MAX {
        return Err(Error::invalid(field, format!("it is longer than {MAX} bytes")));
    }
    if value.chars().any(char::is_control) {
        return Err(Error::invalid(field, "it has control characters"));
    }
    Ok(value)
}

/// An address that a browser may be led to.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn checked_url(field: &str, value: Option<String>) -> Result<String, Error> {
    let value = checked_text(field, value)?;
    if value.is_empty() {
        return Ok(value);
    }
    match Url::parse(&value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url.into()),
        _ => Err(Error::invalid(
            field,
            "an address begins with http:// or https://",
        )),
    }
}

/// The number of a pull request.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn checked_number(field: &str, value: Option<u64>) -> Result<i64, Error> {
    i64::try_from(value.unwrap_or_default())
        .map_err(|_| Error::invalid(field, "no pull request has that number"))
}
