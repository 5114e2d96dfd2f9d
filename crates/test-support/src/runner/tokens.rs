//! The runner's endpoint that gives a job its tokens, and GitHub's API as far as the action asks it.

use std::sync::{Arc, Mutex};

use url::form_urlencoded;

use super::Job;
use crate::http::{listen, write};

/// The runner's endpoint that gives a job its tokens.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl TokenEndpoint {
    /// Gives out what `answer` makes of the audience: a token, or a status that is a refusal.
    pub fn start(answer: impl Fn(&str) -> Result<String, u16> + Send + 'static) -> Self {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&requests);
        let port = listen(move |head, stream| {
            let request = &head[0];
            seen.lock().unwrap().push(request.clone());
            let authorized = head
                .iter()
                .any(|line| line.eq_ignore_ascii_case("authorization: bearer of-the-job"));
            let query = request.split(['?', ' ']).nth(2).unwrap_or_default();
            let audience = form_urlencoded::parse(query.as_bytes())
                .find_map(|(name, value)| (name == "audience").then(|| value.into_owned()))
                .unwrap_or_default();
            match answer(&audience) {
                _ if !authorized => write(&stream, 401, "", ""),
                Ok(token) => write(
                    &stream,
                    200,
                    "",
                    &format!("{{\"count\":1,\"value\":\"{token}\"}}"),
                ),
                Err(status) => write(&stream, status, "", ""),
            }
        });
        Self { port, requests }
    }

    /// Lets the steps of a job ask it.
    pub fn serve(&self, job: &mut Job) {
        for (name, value) in self.variables() {
            job.set(name, &value);
        }
    }

    /// The variables that tell a program of a job where it is.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let url = format!("http://127.0.0.1:{}/token?api-version=2.0", self.port);
        [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job".to_owned()),
        ]
    }

    /// The first lines of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// What GitHub answers.
#[derive(Debug, Clone)]
pub enum Github {
    /// A status, header lines that each end with CR and LF, and a body.
    Answers(u16, String, String),
    /// Nothing, and the connection is closed.
    HangsUp,
    /// Nothing, and the connection stays.
    IsSilent,
}

/// GitHub's API, under a path of its own as GitHub Enterprise has it.
#[derive(Debug, Clone)]
pub struct GithubApi {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl GithubApi {
    /// Answers as `answer` makes of the path and the number of requests before.
    pub fn start(answer: impl Fn(&str, usize) -> Github + Send + 'static) -> Self {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&requests);
        let silent = Mutex::new(Vec::new());
        let port = listen(move |head, stream| {
            let path = head[0].split(' ').nth(1).unwrap_or_default().to_owned();
            let number = seen.lock().unwrap().len();
            seen.lock().unwrap().push(path.clone());
            let authorized = head
                .iter()
                .any(|line| line.eq_ignore_ascii_case("authorization: bearer of-github"));
            match answer(&path, number) {
                _ if !authorized => write(&stream, 401, "", "{}"),
                Github::Answers(status, headers, body) => write(&stream, status, &headers, &body),
                Github::HangsUp => {}
                Github::IsSilent => silent.lock().unwrap().push(stream),
            }
        });
        Self { port, requests }
    }

    /// Lets the steps of a job, of a run and on a runner, ask it.
    pub fn serve(&self, job: &mut Job) {
        for (name, value) in [
            (
                "GITHUB_API_URL",
                format!("http://127.0.0.1:{}/api/v3", self.port).as_str(),
            ),
            ("GITHUB_SERVER_URL", "https://git.example.com"),
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_SHA", "abc"),
            ("GITHUB_WORKFLOW", "CI"),
            ("GITHUB_JOB", "build"),
            ("GITHUB_RUN_ID", "7"),
            ("GITHUB_RUN_ATTEMPT", "2"),
            ("RUNNER_NAME", "runner 1"),
        ] {
            job.set(name, value);
        }
    }

    /// The paths asked for so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}
