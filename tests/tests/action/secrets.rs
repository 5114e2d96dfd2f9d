//! Nothing secret is in the log of a job, whatever happens in it.

use niks3_test_support::{Backend, Fault, Use, on_both};
use niks3_tests::tls_files::Files;

use super::bench::{Bench, has, with_proxied_uploads};

on_both!(an_upload_that_fails_shows_no_signature);

/// What a log shows: the runner takes masks for itself.
fn shown(log: &str) -> String {
    let lines = log.lines().filter(|line| !line.starts_with("::add-mask::"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn has_none_of(log: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!shown(log).contains(secret), "{secret} in {log}");
    }
}

#[test]
fn every_secret_input_is_masked_and_none_is_printed() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let files = Files::new();
    files.client("ci-1", &files.authority, |_| ());
    let read = |name: &str| std::fs::read_to_string(files.path(name)).unwrap();
    let key = read("ci-1.key");
    let key_line = key.lines().nth(1).unwrap();
    let token = bench.server.token();
    let address = bench.server.url().replace("http://", "http://reader:s3cret-1@");
    let skip = format!("http://x:s3cret-4@127.0.0.1:1#{}", bench.server.public_key());
    let inputs = [
        ("auth-token", token.as_str()),
        ("github-token", "s3cret-2"),
        ("client-cert", &read("ci-1.pem")),
        ("client-key", &key),
        ("substituter", &address),
        ("extra-substituters", "https://x:s3cret%2D3@cache.example.com"),
        ("skip-upstream", skip.as_str()),
    ];
    let secrets = [
        &token,
        "s3cret-1",
        "s3cret-2",
        "s3cret%2D3",
        "s3cret-3",
        "s3cret-4",
        key_line,
    ];
    // Nix itself shows the password of a cache that it cannot reach.
    let offline = ["--option", "substitute", "false"];
    for on_error in ["fail", "warn"] {
        let mut action = bench
            .action(&inputs)
            .with("on-error", on_error)
            .with("mode", "scan");
        let main = bench.job.main(&mut action).green();
        for secret in secrets {
            has(&main, &format!("::add-mask::{}", secret.replace('%', "%25")));
        }
        bench.job.build("build \"x\" \"echo x > $out\"", &offline);
        let flush = bench.job.main(&mut Use::of("flush", &[]));
        // The end of the job fails, and shows what the process that pushed has said.
        bench.job.build(
            &format!("build \"{on_error}\" \"echo {on_error} > $out\""),
            &offline,
        );
        bench.server.kill();
        let mut short = action.with("drain-timeout", "2");
        let post = bench.job.post(&mut short);
        has(&post, "log of the pusher");
        bench.server.resume();
        for step in [main, flush, post] {
            let outputs: Vec<String> = step.outputs.values().cloned().collect();
            has_none_of(
                &format!("{}{}{}", step.log, step.summary, outputs.join("\n")),
                &secrets,
            );
        }
        bench.job.left_nothing();
    }
    // Inputs that are refused are masked before they are named.
    for bad in [
        ("server-url", "https://x:s3cret-5@cache.example.com"),
        ("client-key", "s3cret-5"),
        ("skip-upstream", "ftp://x:s3cret-5@cache.example.com"),
        ("skip-upstream", "https://x:s3cret-5@cache.example.com"),
        ("extra-substituters", "https://x:s3cret-5@cache.example.com\nnext"),
    ] {
        let main = bench
            .job
            .main(&mut bench.action(&[bad, ("mode", "nonsense")]))
            .red();
        has(&main, "::add-mask::s3cret-5");
        has_none_of(&main.log, &["s3cret-5"]);
    }
}

/// Uploads go to presigned addresses, whose signatures are as good as a key for a while.
async fn an_upload_that_fails_shows_no_signature(backend: Backend) {
    let (mut bench, proxy) = with_proxied_uploads(backend).await;
    let faults = [Fault::Status(403), Fault::CutBody];
    for (number, fault) in faults.into_iter().enumerate() {
        proxy.fail("PUT", "", fault, usize::MAX);
        let mut action = bench.action(&[("mode", "scan"), ("drain-timeout", "3")]);
        let main = bench.job.main(&mut action).green();
        bench.job.build(
            &format!("build \"x-{number}\" \"head -c 300000 /dev/urandom > $out\""),
            &[],
        );
        let post = bench.job.post(&mut action).red();
        assert_eq!(post.counts().2, 1, "{post:#?}");
        let tokens = ["of-the-job", "eyJ"];
        for step in [&main, &post] {
            has_none_of(&format!("{}{}", step.log, step.summary), &tokens);
            let text = shown(&step.log).to_lowercase();
            assert!(
                !text.contains("signature=") && !text.contains("x-amz-"),
                "{step:#?}"
            );
        }
        proxy.heal();
        bench.job.left_nothing();
    }
}
