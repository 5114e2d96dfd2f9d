//! Who a job is: what its token claims, when that is not enough, and when the token ends.

use niks3_test_support::{Backend, TokenEndpoint, on_both, run};
use serde_json::{Value, json};

use super::bench::{Bench, has};

on_both!(a_run_is_what_the_claims_say_and_has_what_its_job_built);

/// Gives the job tokens whose claims are changed, one after the other: the last change stays.
pub(super) fn tokens(bench: &mut Bench, changes: &'static [fn(&mut Value)]) -> TokenEndpoint {
    let issuer = bench.issuer.clone();
    let given = std::sync::atomic::AtomicUsize::new(0);
    let endpoint = TokenEndpoint::start(move |audience| {
        let mut claims = issuer.claims(audience);
        let number = given.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        changes[number.min(changes.len() - 1)](&mut claims);
        Ok(issuer.sign(&claims))
    });
    endpoint.serve(&mut bench.job);
    endpoint
}

fn niks3(bench: &Bench, arguments: &[&str]) -> Value {
    let mut command = bench.server.niks3();
    bench.store.prepare(command.args(arguments).arg("--json"));
    run(&mut command).json()
}

async fn a_run_is_what_the_claims_say_and_has_what_its_job_built(backend: Backend) {
    let mut bench = Bench::with_token(backend);
    let (lib, options) = bench.upstream("build \"lib\" \"echo lib > $out\"");
    // The environment is the job's own to change; its token is not.
    for (name, value) in [
        ("GITHUB_REPOSITORY", "victim/repo"),
        ("GITHUB_REPOSITORY_ID", "666"),
        ("GITHUB_RUN_ID", "666"),
        ("GITHUB_RUN_ATTEMPT", "6"),
        ("GITHUB_REF", "refs/pull/66/merge"),
        ("GITHUB_SHA", "666"),
        ("GITHUB_ACTOR", "victim"),
        ("GITHUB_WORKFLOW", "release"),
        ("GITHUB_JOB", "build"),
        ("GITHUB_SERVER_URL", "https://evil.example.com"),
    ] {
        bench.job.set(name, value);
    }
    let mut action = bench.action(&[]);
    let main = bench.job.main(&mut action).green();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let expression = "let lib = build \"lib\" \"echo lib > $out\"; tool = build \"tool\" \"echo tool > $out\"; in \
        build \"app\" \"test -e ${tool}; echo ${lib} > $out\"";
    let app = bench.job.build(expression, &options).remove(0);
    let tool = bench.store.build("build \"tool\" \"echo tool > $out\"").remove(0);
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (2, 0, 0), "{post:#?}");
    bench.job.left_nothing();

    let runs = niks3(&bench, &["runs", "list"]);
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    let id = runs[0]["id"].as_str().unwrap();
    let url = format!("{}/dashboard/runs/{id}", bench.server.url());
    assert_eq!(main.outputs["run-url"], url, "{main:#?}");
    let shown = niks3(&bench, &["runs", "show", id]);
    let page = bench
        .issuer
        .url()
        .replace("_services/token", "o/r/actions/runs/7/attempts/2");
    for (field, value) in [
        ("verified", json!(true)),
        ("provider", json!("github")),
        ("repository", json!("o/r")),
        ("repository_id", json!("1")),
        ("owner", json!("o")),
        ("owner_id", json!("2")),
        ("ref", json!("refs/heads/main")),
        ("sha", json!("abc")),
        ("event", json!("push")),
        ("workflow", json!("CI")),
        ("run_id", json!("7")),
        ("run_attempt", json!("2")),
        ("actor", json!("somebody")),
        ("url", json!(page)),
    ] {
        assert_eq!(shown[field], value, "{field}: {shown}");
    }
    let mut closures: Vec<&str> = shown["closures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|closure| closure["path"].as_str().unwrap())
        .collect();
    closures.sort_unstable();
    let mut built = [app.as_str(), tool.as_str()];
    built.sort_unstable();
    assert_eq!(
        closures, built,
        "the tool is outside the closure of the app, and is there too"
    );
    let closure = niks3(&bench, &["closures", "show", &tool]);
    assert_eq!(closure["runs"][0]["id"], id, "{closure}");

    // What the job built comes back with its signature checked, and nothing else does.
    bench
        .store
        .substitutes(&bench.server.url(), bench.server.public_key(), &tool);
    assert!(bench.cached(&app) && !bench.cached(&lib));
}

#[test]
fn the_audience_is_the_one_that_the_server_names_for_the_issuer() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    let asked = bench.tokens.requests();
    assert!(
        asked
            .last()
            .unwrap()
            .contains("audience=https%3A%2F%2Fcache.example.com"),
        "{asked:?}"
    );
    bench.job.post(&mut action).green();
}

#[test]
fn a_wrong_audience_is_named_before_anything_is_built() {
    for (on_error, code) in [("fail", 1), ("warn", 0), ("ignore", 0)] {
        let mut bench = Bench::with_token(Backend::Embedded);
        let mut action = bench.action(&[("audience", "https://other.example"), ("on-error", on_error)]);
        let main = bench.job.main(&mut action);
        assert_eq!(main.code, code, "{main:#?}");
        has(
            &main,
            "its audience is \"https://other.example\", not https://cache.example.com",
        );
        for (level, shown) in [("error", on_error == "fail"), ("warning", on_error == "warn")] {
            assert_eq!(main.annotations(level).len(), usize::from(shown), "{main:#?}");
        }
        let path = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
        let post = bench.job.post(&mut action).green();
        assert!(
            !bench.cached(&path) && post.annotations("error").is_empty(),
            "{post:#?}"
        );
        bench.job.left_nothing();
    }
}

#[test]
fn a_claim_that_no_rule_for_pushes_admits_is_named_before_anything_is_built() {
    let mut bench = Bench::new(Backend::Embedded);
    let _endpoint = tokens(
        &mut bench,
        &[|claims| claims["ref"] = json!("refs/heads/feature")],
    );
    let main = bench.job.main(&mut bench.action(&[])).red();
    let errors = main.annotations("error");
    assert!(
        errors.len() == 1
            && errors[0].contains("does not let it push")
            && errors[0].contains("refs/heads/feature"),
        "{main:#?}"
    );
    bench.job.left_nothing();

    let _endpoint = tokens(&mut bench, &[|claims| claims["repository_owner_id"] = json!("3")]);
    let main = bench.job.main(&mut bench.action(&[])).red();
    has(&main, "repository_owner_id");
    bench.job.left_nothing();
}

#[test]
fn a_token_that_another_signed_is_refused() {
    let mut bench = Bench::new(Backend::Embedded);
    let (right, wrong) = (bench.issuer.clone(), niks3_test_support::GithubIssuer::start());
    wrong.rotate();
    let endpoint = TokenEndpoint::start(move |audience| Ok(wrong.sign(&right.claims(audience))));
    endpoint.serve(&mut bench.job);
    let main = bench.job.main(&mut bench.action(&[])).red();
    has(&main, "does not accept the token of this job");
    has(&main, "its key is not one of its issuer's");
    bench.job.left_nothing();
}

/// Ends so soon that it is renewed before each request.
fn short(claims: &mut Value) {
    claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 30);
}

#[test]
fn a_token_that_is_about_to_end_is_renewed() {
    let mut bench = Bench::new(Backend::Embedded);
    let endpoint = tokens(&mut bench, &[short]);
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    bench.job.build("build \"x\" \"echo x > $out\"", &[]);
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
    assert!(endpoint.requests().len() > 6, "{:?}", endpoint.requests());
    bench.job.left_nothing();
}

#[test]
fn a_token_that_the_pusher_holds_and_that_ends_before_post_is_replaced() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[("mode", "hook")]);
    bench.job.main(&mut action).green();
    let first = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    niks3_test_support::eventually("the pusher has a token", || bench.cached(&first));
    // From now on no server takes it.
    bench.issuer.rotate();
    bench.server.kill();
    bench.server.resume();
    let second = bench.job.build("build \"y\" \"echo y > $out\"", &[]).remove(0);
    assert_eq!(bench.job.post(&mut action).green().counts(), (2, 0, 0));
    assert!(bench.cached(&second));
    bench.job.left_nothing();
}

#[test]
fn a_job_that_gets_no_valid_token_after_main_fails_as_the_input_says_and_says_why() {
    fn valid(_: &mut Value) {}
    fn ended(claims: &mut Value) {
        claims["exp"] = json!(claims["iat"].as_i64().unwrap() - 600);
    }
    for (on_error, code) in [("fail", 1), ("warn", 0), ("ignore", 0)] {
        let mut bench = Bench::with_token(Backend::Embedded);
        let mut action = bench.action(&[("mode", "scan"), ("on-error", on_error), ("drain-timeout", "3")]);
        // Main asks for two: one is looked at, with the other it records the run.
        let _endpoint = tokens(&mut bench, &[valid, valid, ended]);
        bench.job.main(&mut action).green();
        bench.job.build("build \"x\" \"echo x > $out\"", &[]);
        let post = bench.job.post(&mut action);
        assert_eq!((post.code, post.counts()), (code, (0, 0, 1)), "{post:#?}");
        has(&post, "it has expired (exp)");
        assert!(post.summary.contains("| **failed** |"), "{}", post.summary);
        bench.job.left_nothing();
    }
}
