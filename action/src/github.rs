//! What GitHub knows of this job that the claims of its token do not say: asked politely, and the job never depends on it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use octocrab::Octocrab;
use secrecy::SecretString;
use serde_json::Value;

use crate::{
    inputs::Inputs,
    job,
    runner::{self, variable},
};

/// A pause that GitHub asks for is taken once, if it is no longer than this.
const PATIENCE: Duration = Duration::from_secs(5);
/// A job may be one of 256 in a run: three pages.
const PAGES: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before the build, knowing that a permission is missing is worth only a short wait.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// What GitHub has said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) job: Option<String>,
    pub(crate) job_url: Option<String>,
    /// How the steps so far have ended.
    pub(crate) conclusion: Option<String>,
    pub(crate) pull_request: Option<u64>,
}

struct Github {
    client: Octocrab,
    repository: String,
}

/// Asks for this job, and for the pull request of its commit if that is not known. What was
/// found until something went wrong, and what that was.
pub(crate) async fn look_up(token: &SecretString, pull_request_known: bool) -> (Known, Option<String>) {
    let mut known = Known::default();
    let trouble = find(token, pull_request_known, &mut known).await.err();
    (known, trouble)
}

/// A warning if the job may not read what `look_up` asks for at the end. Everybody may in a public repository.
pub(crate) async fn check_permission(inputs: &Inputs) {
    let (Some(token), true) = (&inputs.github_token, job::is_repository_private()) else {
        return;
    };
    let asked = async {
        let github = Github::new(token)?;
        let route = jobs_of_run()?;
        github.status(&format!("{route}?per_page=1")).await
    };
    match tokio::time::timeout(CHECK_TIMEOUT, asked).await {
        Ok(Ok(403 | 404)) => runner::warning(
            "niks3",
            "this job may not read its own run at GitHub, so the server does not learn the job's name and page: add \
             `actions: read` to the `permissions` of the job, which a private repository needs",
        ),
        Ok(Ok(_)) => {}
        Ok(Err(error)) => runner::log(&format!("niks3: cannot ask GitHub about this run: {error}")),
        Err(_) => runner::log("niks3: cannot ask GitHub about this run: it takes too long"),
    }
}

async fn find(token: &SecretString, pull_request_known: bool, known: &mut Known) -> Result<(), String> {
    let github = Github::new(token)?;
    let jobs_route = jobs_of_run()?;
    let runner = variable("RUNNER_NAME").unwrap_or_default();
    let id = variable("GITHUB_JOB").unwrap_or_default();
    for page in 1..=PAGES {
        let answer = github
            .ask(&format!("{jobs_route}?per_page=100&page={page}"))
            .await?;
        let jobs = answer["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(job) = this_job(jobs, &runner, &id) {
            let text = |field: &str| job[field].as_str().map(str::to_owned);
            known.job = text("name");
            known.job_url = text("html_url");
            known.conclusion = Some(conclusion(job).to_owned());
            break;
        }
        if jobs.len() < 100 {
            break;
        }
    }
    if pull_request_known {
        return Ok(());
    }
    let sha = needed("GITHUB_SHA")?;
    let answer = github.ask(&format!("commits/{sha}/pulls?per_page=10")).await?;
    let pulls = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    let open = pulls.iter().find(|pull| pull["state"] == "open");
    known.pull_request = open.and_then(|pull| pull["number"].as_u64());
    Ok(())
}

/// Pages of open pull requests of a repository: a list that has more is none, since it would not be complete.
const PULL_PAGES: usize = 100;

/// The number that a repository keeps when it is renamed, and the numbers of all its open pull requests.
pub(crate) async fn open_pulls(token: &SecretString, repository: &str) -> Result<(String, Vec<u64>), String> {
    let github = Github {
        repository: repository.to_owned(),
        ..Github::new(token)?
    };
    let about = github.ask("").await?;
    let id = about["id"]
        .as_u64()
        .ok_or("the answer about the repository has no id")?;
    let mut numbers = Vec::new();
    for page in 1..=PULL_PAGES {
        let answer = github
            .ask(&format!(
                "pulls?state=open&sort=created&direction=asc&per_page=100&page={page}"
            ))
            .await?;
        let pulls = answer.as_array().ok_or("the answer is no list")?;
        for pull in pulls {
            numbers.push(pull["number"].as_u64().ok_or("a pull request has no number")?);
        }
        if pulls.len() < 100 {
            return Ok((id.to_string(), numbers));
        }
    }
    Err(format!(
        "it has more than {} open pull requests",
        PULL_PAGES * 100
    ))
}

fn needed(name: &str) -> Result<String, String> {
    variable(name).ok_or_else(|| format!("{name} is not set"))
}

/// The route of the jobs in this run.
fn jobs_of_run() -> Result<String, String> {
    let run = needed("GITHUB_RUN_ID")?;
    let attempt = variable("GITHUB_RUN_ATTEMPT").unwrap_or_else(|| "1".to_owned());
    Ok(format!("actions/runs/{run}/attempts/{attempt}/jobs"))
}

/// The job that a runner is at. Runners that GitHub hosts have names of their own, and others
/// do one job at a time.
fn this_job<'j>(jobs: &'j [Value], runner: &str, id: &str) -> Option<&'j Value> {
    let mut here = jobs
        .iter()
        .filter(|job| job["status"] == "in_progress" && job["runner_name"] == runner);
    match (here.next(), here.next()) {
        (Some(job), None) => Some(job),
        // Names that two runners share tell nothing; that of a job without a matrix does.
        (Some(_), Some(_)) => jobs.iter().find(|job| job["name"] == id),
        (None, _) => None,
    }
}

/// How a job will have ended, as far as its steps can tell.
fn conclusion(job: &Value) -> &'static str {
    let steps = job["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let any = |conclusion: &str| steps.iter().any(|step| step["conclusion"] == conclusion);
    if any("cancelled") {
        "cancelled"
    } else if any("failure") {
        "failure"
    } else {
        "success"
    }
}

impl Github {
    fn new(token: &SecretString) -> Result<Self, String> {
        let api = variable("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".to_owned());
        let client = Octocrab::builder()
            .base_uri(api)
            .map_err(|error| describe(&error))?
            .personal_token(token.clone())
            .set_connect_timeout(Some(TIMEOUT))
            .set_read_timeout(Some(TIMEOUT))
            .build()
            .map_err(|error| describe(&error))?;
        Ok(Self {
            client,
            repository: needed("GITHUB_REPOSITORY")?,
        })
    }

    /// The status of an answer.
    async fn status(&self, route: &str) -> Result<u16, String> {
        let route = format!("/repos/{}/{route}", self.repository);
        let response = self.client._get(route.as_str()).await;
        response
            .map(|response| response.status().as_u16())
            .map_err(|error| describe(&error))
    }

    /// Asks for something of the repository; once more after a pause, if GitHub asks for a short one.
    async fn ask(&self, route: &str) -> Result<Value, String> {
        let route = format!("/repos/{}/{route}", self.repository);
        let route = route.trim_end_matches('/');
        let mut again = true;
        loop {
            let response = self.client._get(route).await.map_err(|error| describe(&error))?;
            let status = response.status();
            if status.is_success() {
                let body = self
                    .client
                    .body_to_string(response)
                    .await
                    .map_err(|error| describe(&error))?;
                return serde_json::from_str(&body).map_err(|error| format!("no JSON: {error}"));
            }
            let number = |name: &str| response.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
            match pause(status.as_u16(), number) {
                Some(pause) if again && pause <= PATIENCE => tokio::time::sleep(pause).await,
                _ => return Err(format!("it answers {status}")),
            }
            again = false;
        }
    }
}

/// How long to wait before the same question is asked again, if it may be.
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>
fn pause(status: u16, header: impl Fn(&str) -> Option<u64>) -> Option<Duration> {
    match status {
        403 | 429 => {
            if let Some(seconds) = header("retry-after") {
                return Some(Duration::from_secs(seconds));
            }
            if header("x-ratelimit-remaining") == Some(0) {
                let reset = UNIX_EPOCH.checked_add(Duration::from_secs(header("x-ratelimit-reset")?))?;
                return Some(reset.duration_since(SystemTime::now()).unwrap_or_default());
            }
            (status == 429).then_some(Duration::from_secs(60))
        }
        500.. => Some(Duration::from_secs(1)),
        _ => None,
    }
}

/// An error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_job_is_the_one_that_this_runner_is_at() {
        let job = |name: &str, runner: &str, status: &str| json!({ "name": name, "runner_name": runner, "status": status });
        let jobs = [
            job("a (1)", "r1", "completed"),
            job("a (2)", "r1", "in_progress"),
            job("b", "r2", "in_progress"),
        ];
        assert_eq!(this_job(&jobs, "r1", "a").unwrap()["name"], "a (2)");
        assert_eq!(this_job(&jobs, "r3", "a"), None);
        let same = [job("a", "r", "in_progress"), job("b", "r", "in_progress")];
        assert_eq!(this_job(&same, "r", "b").unwrap()["name"], "b");
        assert_eq!(this_job(&same, "r", "c"), None);
    }

    #[test]
    fn pauses_are_as_github_asks_for_them() {
        let none = |_: &str| None;
        assert_eq!(pause(404, none), None);
        assert_eq!(pause(403, none), None);
        assert_eq!(pause(503, none), Some(Duration::from_secs(1)));
        assert!(pause(429, none).unwrap() > PATIENCE);
        let later = |name: &str| (name == "retry-after").then_some(3600);
        assert_eq!(pause(403, later), Some(Duration::from_secs(3600)));
        let spent = |name: &str| match name {
            "x-ratelimit-remaining" => Some(0),
            "x-ratelimit-reset" => Some(u64::MAX),
            _ => None,
        };
        // A time that cannot be is none to wait for.
        assert_eq!(pause(403, spent), None);
    }
}
