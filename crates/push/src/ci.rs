//! The run of CI that this process is in, as its environment has it.

use niks3_client::types::RunStatement;

/// Most bytes of a text that the server takes.
const MAX: usize = 512;

/// The run of GitHub Actions that this process is in, if any.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>
#[must_use]
pub fn run_of_environment() -> Option<RunStatement> {
    run(|name| std::env::var(name).ok())
}

fn run(variable: impl Fn(&str) -> Option<String>) -> Option<RunStatement> {
    if variable("GITHUB_ACTIONS").as_deref() != Some("true") {
        return None;
    }
    let text = |name: &str| {
        variable(name)
            .map(|text| shortened(&text))
            .filter(|text| !text.is_empty())
    };
    let (repository, run_id) = (text("GITHUB_REPOSITORY")?, text("GITHUB_RUN_ID")?);
    let attempt = text("GITHUB_RUN_ATTEMPT");
    let git_ref = text("GITHUB_REF");
    let server = text("GITHUB_SERVER_URL").filter(|url| url.starts_with("http"));
    let url = server.map(|server| {
        let page = format!(
            "{}/{repository}/actions/runs/{run_id}",
            server.trim_end_matches('/')
        );
        match &attempt {
            Some(attempt) => format!("{page}/attempts/{attempt}"),
            None => page,
        }
    });
    Some(RunStatement {
        provider: Some("github".to_owned()),
        repository_id: text("GITHUB_REPOSITORY_ID"),
        owner: text("GITHUB_REPOSITORY_OWNER"),
        owner_id: text("GITHUB_REPOSITORY_OWNER_ID"),
        sha: text("GITHUB_SHA"),
        event: text("GITHUB_EVENT_NAME"),
        workflow: text("GITHUB_WORKFLOW"),
        job: text("GITHUB_JOB"),
        job_id: None,
        actor: text("GITHUB_ACTOR"),
        pull_request: git_ref.as_deref().and_then(pull_request),
        repository: Some(repository),
        ref_: git_ref,
        run_id: Some(run_id),
        run_attempt: attempt,
        url: url.filter(|url| url.len() <= MAX),
    })
}

/// The pull request whose merge commit a ref names.
fn pull_request(git_ref: &str) -> Option<u64> {
    git_ref
        .strip_prefix("refs/pull/")?
        .split('/')
        .next()?
        .parse()
        .ok()
}

/// What the server takes of a text.
fn shortened(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > MAX {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_github_knows_its_run_and_a_shell_has_none() {
        assert_eq!(run(|_| None), None);
        let long = "w\u{7}é".repeat(600);
        let of = run(|name| {
            let value = match name {
                "GITHUB_ACTIONS" => "true",
                "GITHUB_REPOSITORY" => "o/r",
                "GITHUB_RUN_ID" => "7",
                "GITHUB_RUN_ATTEMPT" => "2",
                "GITHUB_REF" => "refs/pull/12/merge",
                "GITHUB_SERVER_URL" => "https://git.example.com/",
                "GITHUB_WORKFLOW" => &long,
                _ => return None,
            };
            Some(value.to_owned())
        })
        .unwrap();
        assert_eq!(of.pull_request, Some(12));
        assert_eq!(
            of.url.as_deref(),
            Some("https://git.example.com/o/r/actions/runs/7/attempts/2")
        );
        let workflow = of.workflow.unwrap();
        assert!(workflow.starts_with("wéwé") && workflow.len() <= MAX);
    }
}
