//! The run at the server, completed with what GitHub says or does not say.

use std::process::Command;

use niks3_test_support::{Backend, Github, GithubApi, Step, run};
use serde_json::{Value, json};

use super::bench::{Bench, has};

fn answers(body: &Value) -> Github {
    Github::Answers(200, String::new(), body.to_string())
}

/// A page of the dashboard, as somebody who may read sees it.
fn page(bench: &Bench, url: &str) -> String {
    let credentials = format!("x:{}", bench.server.token());
    run(Command::new("curl").args(["-fsS", "-u", &credentials, url])).ok()
}

/// A job that builds something while GitHub answers; its post step, and the run at the server.
fn job(github: &GithubApi) -> (Step, Value, String) {
    let mut bench = Bench::with_token(Backend::Embedded);
    github.serve(&mut bench.job);
    let mut action = bench.action(&[("github-token", "of-github")]);
    let main = bench.job.main(&mut action).green();
    let path = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (1, 0, 0), "{post:#?}");
    let url = &main.outputs["run-url"];
    let id = url
        .strip_prefix(&format!("{}/dashboard/runs/", bench.server.url()))
        .unwrap();
    let name = path.rsplit('/').next().unwrap();
    let page = page(&bench, url);
    assert!(page.contains(name), "the run's page shows what it pushed: {page}");
    assert!(post.summary.contains(&format!("]({url})")), "{}", post.summary);
    let mut show = bench.server.niks3();
    bench.store.prepare(show.args(["runs", "show", "--json", id]));
    let shown = run(&mut show).json();
    bench.job.left_nothing();
    (post, shown, path)
}

fn of_jobs(path: &str) -> bool {
    path.starts_with("/api/v3/repos/o/r/actions/runs/7/attempts/2/jobs?")
}

#[test]
fn a_run_has_its_closures_its_job_its_end_and_its_pull_request() {
    let github = GithubApi::start(|path, _| {
        let other = json!({ "name": "build (arm)", "status": "in_progress", "runner_name": "runner 2" });
        let steps = json!([{ "conclusion": "success" }, { "conclusion": "failure" }, { "conclusion": null }]);
        let this = json!({
            "name": "build (x86)", "status": "in_progress", "runner_name": "runner 1", "steps": steps,
            "html_url": "https://git.example.com/o/r/actions/runs/7/job/9",
        });
        match path {
            // The job is on the second page.
            path if of_jobs(path) && path.ends_with("&page=1") => {
                answers(&json!({ "jobs": vec![other; 100] }))
            }
            path if of_jobs(path) => answers(&json!({ "jobs": [other, this] })),
            path if path.starts_with("/api/v3/repos/o/r/commits/abc/pulls?") => {
                answers(&json!([{ "state": "closed", "number": 1 }, { "state": "open", "number": 12 }]))
            }
            _ => Github::Answers(404, String::new(), "{}".to_owned()),
        }
    });
    let (_, run, path) = job(&github);
    for (field, value) in [
        ("repository", json!("o/r")),
        ("run_id", json!("7")),
        ("run_attempt", json!("2")),
        ("job", json!("build (x86)")),
        (
            "job_url",
            json!("https://git.example.com/o/r/actions/runs/7/job/9"),
        ),
        ("verified", json!(true)),
        ("conclusion", json!("failure")),
        ("pull_request", json!(12)),
    ] {
        assert_eq!(run[field], value, "{field}: {run}");
    }
    assert_eq!(run["closures"][0]["path"], path);
    assert_eq!(github.requests().len(), 3);
}

#[test]
fn a_github_that_is_of_no_help_costs_the_job_nothing() {
    let text =
        |status: u16, headers: &str, body: &str| Github::Answers(status, headers.to_owned(), body.to_owned());
    for (answer, requests) in [
        (text(429, "retry-after: 3600\r\n", "{}"), 1),
        (
            text(
                403,
                "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 99999999999\r\n",
                "{}",
            ),
            1,
        ),
        (text(404, "", "{}"), 1),
        (text(500, "", "<html>"), 2),
        (text(200, "", "<html>"), 1),
        (text(200, "", "{\"jobs\": 7}"), 2),
        (Github::HangsUp, 1),
        (Github::IsSilent, 1),
    ] {
        let given = answer.clone();
        let github = GithubApi::start(move |_, _| given.clone());
        let (post, run, path) = job(&github);
        assert_eq!(run["closures"][0]["path"], path, "{answer:?}");
        assert_eq!((&run["run_id"], &run["conclusion"]), (&json!("7"), &Value::Null));
        assert_eq!(
            github.requests().len(),
            requests,
            "{answer:?} {:?}",
            github.requests()
        );
        if answers_nonsense(&answer) {
            continue;
        }
        has(&post, "GitHub does not say more of this run");
    }
}

/// JSON of another shape is an answer without what is looked for.
fn answers_nonsense(answer: &Github) -> bool {
    matches!(answer, Github::Answers(200, _, body) if body.starts_with('{'))
}

#[test]
fn a_private_repository_whose_job_may_not_read_its_run_is_warned_before_anything_is_built() {
    for (private, status, warned) in [
        (true, 403, true),
        (true, 404, true),
        (true, 200, false),
        (false, 403, false),
    ] {
        let github = GithubApi::start(move |_, _| Github::Answers(status, String::new(), "{}".to_owned()));
        let mut bench = Bench::with_token(Backend::Embedded);
        github.serve(&mut bench.job);
        let event = bench.job.workspace().join("event.json");
        std::fs::write(
            &event,
            json!({ "repository": { "private": private } }).to_string(),
        )
        .unwrap();
        bench.job.set("GITHUB_EVENT_PATH", event.to_str().unwrap());
        let mut action = bench.action(&[("github-token", "of-github")]);
        let main = bench.job.main(&mut action).green();
        let warnings = main.annotations("warning");
        assert_eq!(warnings.len(), usize::from(warned), "{main:#?}");
        assert!(
            warnings.iter().all(|text| text.contains("`actions: read`")),
            "{main:#?}"
        );
        assert_eq!(
            github.requests().len(),
            usize::from(private),
            "a public one costs no request"
        );
        bench.job.post(&mut action).green();
        bench.job.left_nothing();
    }
}

#[test]
fn a_short_pause_that_github_asks_for_is_taken() {
    let github = GithubApi::start(|path, number| match number {
        0 => Github::Answers(429, "retry-after: 1\r\n".to_owned(), "{}".to_owned()),
        _ if of_jobs(path) => answers(
            &json!({ "jobs": [{ "name": "build", "status": "in_progress", "runner_name": "runner 1" }] }),
        ),
        _ => answers(&json!([])),
    });
    let (_, run, _) = job(&github);
    assert_eq!(
        (&run["job"], &run["conclusion"]),
        (&json!("build"), &json!("success"))
    );
    assert_eq!(run["pull_request"], Value::Null);
    assert_eq!(github.requests().len(), 3);
}

#[test]
fn a_job_without_a_token_of_github_is_recorded_all_the_same() {
    let github = GithubApi::start(|_, _| Github::HangsUp);
    let mut bench = Bench::with_token(Backend::Embedded);
    github.serve(&mut bench.job);
    let mut action = bench.action(&[]);
    let main = bench.job.main(&mut action).green();
    let post = bench.job.post(&mut action).green();
    let url = &main.outputs["run-url"];
    assert!(
        url.contains("/dashboard/runs/") && post.summary.contains(url),
        "{post:#?}"
    );
    assert!(github.requests().is_empty());
}

#[test]
fn the_runner_says_how_the_job_ended() {
    for status in ["success", "failure", "cancelled"] {
        let mut bench = Bench::with_token(Backend::Embedded);
        bench.job.set("GITHUB_REPOSITORY", "o/r");
        bench.job.set("GITHUB_RUN_ID", "7");
        let mut action = bench.action(&[("job-status", "success")]);
        let main = bench.job.main(&mut action).green();
        bench.job.build("build \"x\" \"echo x > $out\"", &[]);
        let mut action = action.with("job-status", status);
        bench.job.post(&mut action).green();
        let id = main.outputs["run-url"].rsplit('/').next().unwrap();
        let mut show = bench.server.niks3();
        bench.store.prepare(show.args(["runs", "show", "--json", id]));
        assert_eq!(run(&mut show).json()["conclusion"], json!(status));
    }
}
