//! What is noticed before anything is built.

use std::process::Command;

use niks3_test_support::{Backend, Job, TokenEndpoint, run};

use super::bench::{Bench, has};

#[test]
fn a_server_that_is_not_there_is_named_before_anything_is_built() {
    let named = |on_error: &str, code: i32| {
        let mut bench = Bench::with_token(Backend::Embedded);
        bench.server.kill();
        let mut action = bench.action(&[("on-error", on_error)]);
        let main = bench.job.main(&mut action);
        assert_eq!(main.code, code, "{main:#?}");
        has(
            &main,
            &format!("cannot reach the server at {}", bench.server.url()),
        );
        let post = bench.job.post(&mut action).green();
        assert!(post.annotations("error").is_empty(), "{post:#?}");
        bench.job.left_nothing();
    };
    // Each waits for half a minute.
    std::thread::scope(|scope| {
        for (on_error, code) in [("fail", 1), ("warn", 0), ("ignore", 0)] {
            scope.spawn(move || named(on_error, code));
        }
    });
}

/// What GitHub says of a pull request whose head is in `head`.
fn pull_request(job: &mut Job, head: &str) {
    let path = job.workspace().join("event.json");
    let event = serde_json::json!({ "pull_request": {
        "head": { "repo": { "full_name": head } }, "base": { "repo": { "full_name": "owner/repo" } } } });
    std::fs::write(&path, event.to_string()).unwrap();
    job.set("GITHUB_EVENT_NAME", "pull_request");
    job.set("GITHUB_EVENT_PATH", path.to_str().unwrap());
}

#[test]
fn a_fork_reads_the_cache_and_stays_green() {
    let mut bench = Bench::new(Backend::Embedded);
    let cached = bench.store.build("build \"x\" \"echo x > $out\"").remove(0);
    let mut push = bench.server.niks3();
    bench.store.prepare(push.args(["push", &cached]));
    let _ = run(&mut push).ok();
    bench.store.nix("nix-store", &["--delete", &cached]);

    pull_request(&mut bench.job, "somebody/repo");
    let mut action = bench.action(&[]);
    let main = bench.job.main(&mut action).green();
    let notices = main.annotations("notice");
    assert!(
        notices.len() == 1 && notices[0].contains("a pull request from a fork"),
        "{main:#?}"
    );
    assert!(bench.job.run(&["nix-store", "--realise", &cached]).code == 0);
    let built = bench.job.build("build \"y\" \"echo y > $out\"", &[]).remove(0);
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (0, 0, 0));
    assert!(!bench.cached(&built) && post.summary.is_empty());
    bench.job.left_nothing();
}

#[test]
fn a_fork_whose_token_may_not_push_stays_green_too() {
    let mut bench = Bench::new(Backend::Embedded);
    pull_request(&mut bench.job, "somebody/repo");
    let issuer = bench.issuer.clone();
    let of_the_fork = TokenEndpoint::start(move |audience| {
        let mut claims = issuer.claims(audience);
        claims["ref"] = serde_json::json!("refs/pull/1/merge");
        Ok(issuer.sign(&claims))
    });
    of_the_fork.serve(&mut bench.job);
    let mut action = bench.action(&[]);
    let main = bench.job.main(&mut action).green();
    assert_eq!(main.annotations("notice").len(), 1, "{main:#?}");
    let built = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    assert_eq!(bench.job.post(&mut action).green().counts(), (0, 0, 0));
    assert!(!bench.cached(&built));
    bench.job.left_nothing();
}

#[test]
fn a_job_that_may_not_ask_for_tokens_is_told_which_permission_it_lacks() {
    let mut bench = Bench::new(Backend::Embedded);
    pull_request(&mut bench.job, "owner/repo");
    let mut action = bench.action(&[]);
    let main = bench.job.main(&mut action).red();
    let errors = main.annotations("error");
    assert!(
        errors.len() == 1 && errors[0].contains("id-token: write") && errors[0].contains(&bench.server.url()),
        "{main:#?}"
    );
    // Reason and address are in the summary, too.
    for text in ["id-token: write", &bench.server.url()] {
        assert!(main.summary.contains(text), "{}", main.summary);
    }
    bench.job.left_nothing();

    let mut action = bench.action(&[("on-error", "warn")]);
    let main = bench.job.main(&mut action).green();
    assert!(
        main.annotations("warning")[0].contains("id-token: write"),
        "{main:#?}"
    );
    bench.job.build("build \"x\" \"echo x > $out\"", &[]);
    assert_eq!(bench.job.post(&mut action).green().counts(), (0, 0, 0));
    bench.job.left_nothing();
}

#[test]
fn a_token_that_the_server_refuses_is_noticed_before_anything_is_built() {
    let mut bench = Bench::new(Backend::Embedded);
    let wrong = "a-token-that-the-server-has-never-heard-of";
    let mut action = bench.action(&[("auth-token", wrong)]);
    let main = bench.job.main(&mut action).red();
    has(&main, "does not accept the token of this job");
    has(&main, &format!("::add-mask::{wrong}"));
    assert_eq!(
        main.log.matches(wrong).count(),
        1,
        "only the mask says it: {}",
        main.log
    );

    let none = TokenEndpoint::start(|_| Err(403));
    none.serve(&mut bench.job);
    let main = bench.job.main(&mut bench.action(&[])).red();
    has(&main, "GitHub Actions gave no token");
    has(&main, "id-token: write");
    bench.job.left_nothing();
}

#[test]
fn a_static_token_works_and_is_nowhere_on_disk() {
    let mut bench = Bench::new(Backend::Embedded);
    let token = bench.server.token();
    let mut action = bench.action(&[("auth-token", token.as_str())]);
    bench.job.main(&mut action).green();
    let found = run(Command::new("grep")
        .args(["-r", "-l", &token])
        .arg(bench.job.temporary()));
    assert_eq!(found.code, 1, "{found:?}");
    let daemon = bench.job.process("daemon").unwrap();
    let environment = std::fs::read(format!("/proc/{daemon}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains(&token));
    bench.job.build("build \"x\" \"echo x > $out\"", &[]);
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
}

#[test]
fn the_audience_of_the_input_is_asked_for() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let main = bench
        .job
        .main(&mut bench.action(&[("audience", "https://x.example")]))
        .red();
    let errors = main.annotations("error");
    assert!(errors[0].contains("audience is"), "{main:#?}");
    let requests = bench.tokens.requests();
    assert!(
        requests[0].contains("audience=https%3A%2F%2Fx.example"),
        "{requests:?}"
    );
}

#[test]
fn inputs_that_make_no_sense_are_named() {
    let mut bench = Bench::with_token(Backend::Embedded);
    for (name, value) in [
        ("mode", "everything"),
        ("server-url", ""),
        ("on-error", "x"),
        ("drain-timeout", "soon"),
        ("server-url", "https://user:secret@niks3.example.com"),
        ("server-url", "http://niks3.example.com"),
    ] {
        let main = bench.job.main(&mut bench.action(&[(name, value)])).red();
        let errors = main.annotations("error");
        assert!(errors.len() == 1 && errors[0].contains(name), "{main:#?}");
    }
    let main = bench.job.main(&mut bench.action(&[("binary", "/nowhere")])).red();
    assert!(main.annotations("error")[0].contains("/nowhere"), "{main:#?}");
    bench.job.left_nothing();
}

#[test]
fn pushing_can_be_switched_off() {
    for inputs in [("mode", "off"), ("skip-push", "true")] {
        let mut bench = Bench::new(Backend::Embedded);
        let mut action = bench.action(&[inputs]);
        bench.job.main(&mut action).green();
        let shown = bench.job.run(&["nix", "show-config"]).ok();
        assert!(
            shown.contains(&bench.server.url()) && shown.contains(bench.server.public_key()),
            "{shown}"
        );
        let path = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
        assert_eq!(bench.job.post(&mut action).green().counts(), (0, 0, 0));
        assert!(!bench.cached(&path));
        bench.job.left_nothing();
    }
}

#[test]
fn a_pin_that_the_rules_forbid_is_refused_before_anything_is_built() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let inputs = [("paths", "result"), ("pin", "nightly")];
    let main = bench.job.main(&mut bench.action(&inputs)).red();
    let errors = main.annotations("error");
    assert!(
        errors.len() == 1 && errors[0].contains("'nightly'") && errors[0].contains("release*"),
        "{main:#?}"
    );
    bench.job.left_nothing();
}

#[test]
fn a_drain_that_outlives_a_cancelled_job_is_a_warning() {
    for (seconds, warned) in [("270", false), ("271", true)] {
        let mut bench = Bench::with_token(Backend::Embedded);
        let mut action = bench.action(&[("drain-timeout", seconds)]);
        let main = bench.job.main(&mut action).green();
        let warnings = main.annotations("warning");
        assert_eq!(
            warnings.iter().any(|text| text.contains("drain-timeout")),
            warned,
            "{main:#?}"
        );
        bench.job.post(&mut action).green();
    }
}
