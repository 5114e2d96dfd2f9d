//! The flush action: what a job has built is in the cache before the job ends, and later steps can read what that was.

use std::path::Path;

use niks3_test_support::{Backend, Job, Server, Step, Use, WebServer, on_both};

use super::bench::{Bench, has};

on_both!(what_the_job_has_built_so_far_is_in_the_cache_and_the_outputs_say_what);

fn flush(job: &mut Job, inputs: &[(&str, &str)]) -> Step {
    job.main(&mut Use::of("flush", inputs))
}

fn build(bench: &mut Bench, name: &str) -> String {
    let expression = format!("build \"{name}\" \"echo {name} > $out\"");
    bench.job.build(&expression, &[]).remove(0)
}

async fn what_the_job_has_built_so_far_is_in_the_cache_and_the_outputs_say_what(backend: Backend) {
    let mut bench = Bench::with_token(backend);
    let mut action = bench.action(&[]);
    let main = bench.job.main(&mut action).green();
    for (output, value) in [
        ("server-url", bench.server.url().as_str()),
        ("mode", "hook"),
        ("will-push", "true"),
        ("reason", ""),
        ("public-keys", bench.server.public_key()),
        ("substituter", bench.server.url().as_str()),
    ] {
        assert_eq!(main.outputs[output], value, "{output}");
    }
    let first = build(&mut bench, "first");
    let flushed = flush(&mut bench.job, &[]).green();
    assert!(bench.cached(&first), "{flushed:#?}");
    assert_eq!(flushed.counts(), (1, 0, 0));
    for (output, value) in [("paths-pushed", 1), ("paths-cached", 0), ("paths-failed", 0)] {
        assert_eq!(flushed.count(output), value, "{output}");
    }
    assert!(flushed.count("bytes-uploaded") > 0);
    assert_eq!(flushed.list("closures"), [first.as_str()]);
    assert_eq!(flushed.outputs["store-paths"], first);

    let second = build(&mut bench, "second");
    assert!(
        flush(&mut bench.job, &[])
            .green()
            .list("closures")
            .contains(&second)
    );
    let third = build(&mut bench, "third");
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (3, 0, 0));
    assert!(bench.cached(&second) && bench.cached(&third));
    assert!(post.outputs.is_empty(), "GitHub drops them");
    bench.job.left_nothing();
}

#[test]
fn every_mode_pushes_what_is_there_of_what_it_pushes_at_the_end() {
    let mut bench = Bench::new(Backend::Embedded);
    // The token is an input of the first step alone.
    let token = bench.server.token();
    let of_token = [("auth-token", token.as_str())];
    let mut scan = bench.action(&of_token).with("mode", "scan");
    bench.job.main(&mut scan).green();
    let path = build(&mut bench, "scanned");
    let flushed = flush(&mut bench.job, &[]).green();
    assert_eq!(flushed.list("closures"), [path.as_str()], "{flushed:#?}");
    assert!(bench.cached(&path));
    assert_eq!(bench.job.post(&mut scan).green().counts(), (1, 0, 0));

    let inputs = [("mode", "paths"), ("paths", "result result-later"), ("pin", "p")];
    let mut named = bench.action(&of_token).with_all(&inputs);
    bench.job.main(&mut named).green();
    let dependency = "let a = build \"a\" \"echo a > $out\"; in build \"b\" \"echo ${a} > $out\"";
    let path = bench.job.build(dependency, &[]).remove(0);
    std::os::unix::fs::symlink(&path, bench.job.workspace().join("result")).unwrap();
    let flushed = flush(&mut bench.job, &[]).green();
    assert_eq!(flushed.counts(), (2, 0, 0), "with all it refers to: {flushed:#?}");
    std::os::unix::fs::symlink(&path, bench.job.workspace().join("result-later")).unwrap();
    assert_eq!(bench.job.post(&mut named).green().counts(), (2, 0, 0));
    assert_eq!(
        bench.server.get("pins/p"),
        Some(format!("{path}\n").into_bytes()),
        "the end of the job makes the pin"
    );
    bench.job.left_nothing();
}

#[test]
fn a_job_that_pushes_nothing_has_zeros_and_stays_green() {
    for (inputs, reason) in [
        (vec![("mode", "off")], "switched off"),
        (vec![("on-error", "warn")], "id-token: write"),
    ] {
        let mut bench = Bench::new(Backend::Embedded);
        let mut action = bench.action(&inputs);
        let main = bench.job.main(&mut action).green();
        assert_eq!(
            (main.outputs["will-push"].as_str(), main.outputs["mode"].as_str()),
            ("false", "off")
        );
        assert!(main.outputs["reason"].contains(reason), "{main:#?}");
        assert_eq!(main.outputs["run-url"], "");
        build(&mut bench, "x");
        let flushed = flush(&mut bench.job, &[]).green();
        assert_eq!(flushed.counts(), (0, 0, 0));
        assert_eq!(flushed.count("bytes-uploaded"), 0);
        assert_eq!(
            (
                flushed.outputs["closures"].as_str(),
                flushed.outputs["store-paths"].as_str()
            ),
            ("[]", "")
        );
        bench.job.post(&mut action).green();
        bench.job.left_nothing();
    }
}

#[test]
fn a_flush_that_belongs_to_nothing_is_told_what_it_lacks() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let alone = flush(&mut bench.job, &[]).red();
    assert!(
        alone.annotations("error")[0].contains("no earlier step"),
        "{alone:#?}"
    );
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    let other = flush(&mut bench.job, &[("server-url", "https://other.example.com/")]).red();
    let error = &other.annotations("error")[0];
    assert!(
        error.contains("https://other.example.com") && error.contains(&bench.server.url()),
        "{error}"
    );
    for (name, value) in [
        ("timeout", "soon"),
        ("on-error", "explode"),
        ("server-url", "nothing"),
    ] {
        let step = flush(&mut bench.job, &[(name, value)]).red();
        assert!(step.annotations("error")[0].contains(name), "{step:#?}");
    }
    bench.job.post(&mut action).green();
}

#[test]
fn what_is_pushed_to_two_servers_counts_for_each_and_to_one_server_once() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let other = Server::start(Backend::Embedded, &bench.store.dir());
    let token = other.token();
    let mut first = bench.action(&[]);
    let mut again = bench.action(&[("mode", "hook")]);
    let mut second = Use::new(&[("server-url", other.url().as_str()), ("auth-token", &token)]);
    bench.job.main(&mut first).green();
    let repeated = bench.job.main(&mut again).green();
    assert!(
        repeated.outputs["reason"].contains("an earlier step"),
        "{repeated:#?}"
    );
    bench.job.main(&mut second).green();
    build(&mut bench, "x");
    assert_eq!(flush(&mut bench.job, &[]).green().counts(), (2, 0, 0));
    assert_eq!(
        flush(&mut bench.job, &[("server-url", &other.url())])
            .green()
            .counts(),
        (1, 0, 0)
    );
    assert_eq!(bench.job.post(&mut second).green().counts(), (1, 0, 0));
    assert_eq!(bench.job.post(&mut again).green().counts(), (0, 0, 0));
    assert_eq!(bench.job.post(&mut first).green().counts(), (1, 0, 0));
    bench.job.left_nothing();
}

#[test]
fn a_server_that_is_away_costs_what_the_input_says_and_the_end_of_the_job_makes_up_for_it() {
    for (inputs, code) in [
        (vec![("timeout", "2")], 1),
        (vec![("timeout", "1"), ("on-error", "warn")], 0),
    ] {
        let mut bench = Bench::with_token(Backend::Embedded);
        let mut action = bench.action(&[]);
        bench.job.main(&mut action).green();
        bench.server.kill();
        let expression = "build \"x\" \"echo x > $out\"";
        let path = bench
            .job
            .build(expression, &["--option", "extra-substituters", ""])
            .remove(0);
        let flushed = flush(&mut bench.job, &inputs);
        assert_eq!(flushed.code, code, "{flushed:#?}");
        has(&flushed, "within the input `timeout`");
        assert_eq!(flushed.counts(), (0, 0, 0));
        bench.server.resume();
        assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
        assert!(bench.cached(&path));
        bench.job.left_nothing();
    }
}

#[test]
fn a_path_that_cannot_be_pushed_fails_the_flush_and_is_named() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[("mode", "scan")]);
    bench.job.main(&mut action).green();
    let paths = [build(&mut bench, "good"), build(&mut bench, "bad")];
    super::faults::spoil(&paths[1]);
    let flushed = flush(&mut bench.job, &[]).red();
    assert_eq!(flushed.counts(), (1, 0, 1));
    assert_eq!(flushed.list("closures"), [paths[0].as_str()]);
    let errors = flushed.annotations("error");
    assert!(
        errors.len() == 1 && errors[0].contains("-bad is not in the cache"),
        "{flushed:#?}"
    );
    bench.job.post(&mut action).red();
}

#[test]
fn a_cdn_that_does_not_see_the_closure_yet_is_a_warning() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let cdn = WebServer::start(|path| match path {
        "/nix-cache-info" => (200, "StoreDir: /nix/store\n".to_owned()),
        _ => (404, String::new()),
    });
    let mut action = bench.action(&[("substituter", &cdn.url()), ("configure-nix", "true")]);
    bench.job.main(&mut action).green();
    let expression = "build \"x\" \"echo x > $out\"";
    let path = bench
        .job
        .build(expression, &["--option", "substituters", ""])
        .remove(0);
    let before = cdn.requests().len();
    let flushed = flush(&mut bench.job, &[("timeout", "3")]).green();
    assert!(bench.cached(&path));
    let warnings = flushed.annotations("warning");
    assert!(
        warnings.len() == 1 && warnings[0].contains("readers do not see 1 of 1"),
        "{flushed:#?}"
    );
    let hash = &Path::new(&path).file_name().unwrap().to_str().unwrap()[..32];
    let asked = cdn.requests().split_off(before);
    assert!(!asked.is_empty());
    for head in asked {
        assert!(head[0].starts_with(&format!("GET /{hash}.narinfo ")), "{head:?}");
        assert!(
            head.iter()
                .any(|line| line.eq_ignore_ascii_case("cache-control: no-cache")),
            "{head:?}"
        );
    }
    bench.job.post(&mut action).green();
}
