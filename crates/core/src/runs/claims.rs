//! What the claims of CI's tokens say of a run, in the shapes of GitHub and of GitLab.
//!
//! <https://docs.github.com/en/actions/reference/security/oidc#oidc-token-claims>,
//! <https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload>

use niks3_catalog::RunFacts;
use serde_json::Value;
use url::Url;

/// Most characters of a claim that are kept.
const MAX: usize = 512;

/// The run that verified claims are of, each claim by its name; `None` when they are of none.
pub(super) fn run<'c>(provider: &str, claim: impl Fn(&str) -> Option<&'c Value>) -> Option<RunFacts> {
    let text = |name: &str| text(claim(name));
    let facts = if claim("repository").is_some() && claim("run_id").is_some() {
        let (repository, git_ref) = (text("repository"), text("ref"));
        let (run_id, attempt) = (text("run_id"), text("run_attempt"));
        RunFacts {
            repository_id: text("repository_id"),
            owner: text("repository_owner"),
            owner_id: text("repository_owner_id"),
            pull_request: pull_request(&git_ref),
            sha: text("sha"),
            event: text("event_name"),
            workflow: text("workflow"),
            job_id: text("check_run_id"),
            actor: text("actor"),
            url: github_url(&text("iss"), &repository, &run_id, &attempt),
            repository,
            git_ref,
            run_id,
            attempt,
            ..RunFacts::default()
        }
    } else if claim("project_path").is_some() && claim("pipeline_id").is_some() {
        let (repository, job_id) = (text("project_path"), text("job_id"));
        let kind = if text("ref_type") == "tag" {
            "tags"
        } else {
            "heads"
        };
        RunFacts {
            repository_id: text("project_id"),
            owner: text("namespace_path"),
            owner_id: text("namespace_id"),
            git_ref: format!("refs/{kind}/{}", text("ref")),
            sha: text("sha"),
            event: text("pipeline_source"),
            run_id: text("pipeline_id"),
            actor: text("user_login"),
            url: page(&text("iss"), &[&repository, "-", "jobs", &job_id]),
            repository,
            job_id,
            ..RunFacts::default()
        }
    } else {
        return None;
    };
    Some(RunFacts {
        provider: provider.to_owned(),
        ..facts
    })
}

/// A claim as text: without what cannot be shown, and no longer than anybody reads.
fn text(claim: Option<&Value>) -> String {
    let text = match claim {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return String::new(),
    };
    text.chars().filter(|c| !c.is_control()).take(MAX).collect()
}

/// The pull request whose merge commit GitHub gives a ref.
fn pull_request(git_ref: &str) -> i64 {
    let number = git_ref
        .strip_prefix("refs/pull/")
        .and_then(|rest| rest.split('/').next()?.parse().ok());
    number.filter(|number| *number > 0).unwrap_or_default()
}

fn github_url(issuer: &str, repository: &str, run_id: &str, attempt: &str) -> String {
    let server = match issuer {
        "https://token.actions.githubusercontent.com" => "https://github.com",
        // GitHub Enterprise Server issues its tokens itself.
        _ => match issuer.strip_suffix("/_services/token") {
            Some(server) => server,
            None => return String::new(),
        },
    };
    if attempt.is_empty() {
        return page(server, &[repository, "actions", "runs", run_id]);
    }
    page(
        server,
        &[repository, "actions", "runs", run_id, "attempts", attempt],
    )
}

/// A page under an address; empty when the address is none.
fn page(base: &str, parts: &[&str]) -> String {
    let Ok(mut url) = Url::parse(base) else {
        return String::new();
    };
    if !matches!(url.scheme(), "http" | "https") {
        return String::new();
    }
    match url.path_segments_mut() {
        Ok(mut segments) => segments
            .pop_if_empty()
            .extend(parts.iter().flat_map(|part| part.split('/'))),
        Err(()) => return String::new(),
    };
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(claims: &Value) -> Option<RunFacts> {
        run("ci", |name| claims.get(name))
    }

    #[test]
    fn claims_of_github_are_understood() {
        let mut claims = serde_json::json!({
            "iss": "https://token.actions.githubusercontent.com", "sub": "repo:o/r:pull_request",
            "repository": "o/r", "repository_id": "1", "repository_owner": "o", "repository_owner_id": "2",
            "ref": "refs/pull/12/merge", "sha": "abc", "event_name": "pull_request", "workflow": "CI",
            "run_id": "30", "run_attempt": 2, "actor": "somebody", "check_run_id": "99",
        });
        let facts = of(&claims).unwrap();
        assert_eq!(facts.url, "https://github.com/o/r/actions/runs/30/attempts/2");
        assert_eq!(
            (facts.pull_request, facts.attempt.as_str(), facts.job_id.as_str()),
            (12, "2", "99")
        );
        claims["iss"] = "https://git.example.com/_services/token".into();
        assert_eq!(
            of(&claims).unwrap().url,
            "https://git.example.com/o/r/actions/runs/30/attempts/2"
        );
        claims["iss"] = "javascript:alert(1)/_services/token".into();
        assert_eq!(of(&claims).unwrap().url, "");
    }

    #[test]
    fn claims_of_gitlab_are_understood() {
        let facts = of(&serde_json::json!({
            "iss": "https://gitlab.example.com", "project_path": "g/sub/p", "project_id": "5", "namespace_path": "g/sub",
            "namespace_id": "6", "ref": "v1", "ref_type": "tag", "sha": "abc", "pipeline_id": "7", "job_id": "8",
            "pipeline_source": "push", "user_login": "somebody",
        }))
        .unwrap();
        assert_eq!(facts.url, "https://gitlab.example.com/g/sub/p/-/jobs/8");
        assert_eq!(facts.git_ref, "refs/tags/v1");
    }

    #[test]
    fn claims_of_anything_else_are_of_no_run_and_odd_ones_do_no_harm() {
        assert_eq!(
            of(&serde_json::json!({"sub": "system:serviceaccount:ci:x"})),
            None
        );
        let odd = of(&serde_json::json!({
            "repository": "o\u{0}/r\n".to_owned() + &"x".repeat(9000), "run_id": {"a": 1}, "ref": "refs/pull/-1/merge",
        }))
        .unwrap();
        assert!(odd.repository.starts_with("o/rxx") && odd.repository.len() == MAX);
        assert_eq!((odd.run_id.as_str(), odd.pull_request), ("", 0));
    }
}
