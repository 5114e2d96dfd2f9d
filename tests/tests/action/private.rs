//! Caches that ask for a password: the job reads them with its own token.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use niks3_test_support::{Backend, Job, ServerOptions, Step, Store, TokenEndpoint, Use, eventually, run};
use serde_json::{Value, json};

use super::{
    bench::{Bench, has, released},
    builds::NixDaemon,
    identity::tokens,
};

/// A server that asks readers for a token, and a path in its cache that this machine does not have.
fn private() -> (Bench, String) {
    let options = ServerOptions {
        arguments: vec!["--protect-reads".to_owned()],
        ..ServerOptions::default()
    };
    let bench = Bench::with(Backend::Embedded, Store::default(), options);
    let path = push(&bench, "cached");
    (bench, path)
}

/// Something that is in the cache and not on this machine.
fn push(bench: &Bench, name: &str) -> String {
    let path = bench
        .store
        .build(&format!("build \"{name}\" \"echo {name} > $out\""))
        .remove(0);
    let mut push = bench.server.niks3();
    bench.store.prepare(push.args(["push", &path]));
    let _ = run(&mut push).ok();
    bench.store.nix("nix-store", &["--delete", &path]);
    path
}

/// The netrc file that Nix reads in a job.
fn netrc(job: &mut Job) -> PathBuf {
    let shown = job.run(&["nix", "show-config"]).ok();
    let file = shown.lines().find_map(|line| line.strip_prefix("netrc-file = "));
    file.unwrap().into()
}

/// The token in the file of a job.
fn password(job: &mut Job) -> String {
    let text = std::fs::read_to_string(netrc(job)).unwrap();
    let line = text.lines().find(|line| line.contains(" login niks3 ")).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

fn realise(job: &mut Job, path: &str) -> bool {
    let options = ["--option", "narinfo-cache-negative-ttl", "0"];
    job.run(&[&["nix-store", "--realise", path], &options[..]].concat())
        .code
        == 0
}

/// The only notice of a step.
#[track_caller]
fn notice(step: &Step) -> String {
    let notices = step.annotations("notice");
    assert_eq!(notices.len(), 1, "{step:#?}");
    notices[0].clone()
}

fn status(bench: &Bench, token: &str) -> String {
    let url = format!("{}/nix-cache-info", bench.server.url());
    let user = format!("niks3:{token}");
    run(Command::new("curl").args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-u", &user, &url])).ok()
}

#[test]
fn a_private_cache_is_read_with_the_token_of_the_job_and_nothing_of_it_is_left() {
    let (mut bench, path) = private();
    bench.tokens.serve(&mut bench.job);
    // What the machine has stays: the file has other entries, and one for everybody else.
    let machine = bench.store.path("etc/netrc");
    std::fs::write(
        &machine,
        "machine other.example.com login a password b\ndefault login x password y\n",
    )
    .unwrap();
    let mut action = bench.action(&[("mode", "hook")]);
    let main = bench.job.main(&mut action).green();
    has(&main, "with a token of this job");
    assert!(main.annotations("notice").is_empty(), "{main:#?}");

    let file = netrc(&mut bench.job);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(
        lines.len() == 3
            && lines[0] == "machine other.example.com login a password b"
            && lines[1].starts_with("machine 127.0.0.1 login niks3 password ey")
            && lines[2] == "default login x password y",
        "{text}"
    );
    assert!(realise(&mut bench.job, &path));

    // A step that changes the file of the machine is heard.
    std::fs::write(&machine, "machine new.example.com login c password d\n").unwrap();
    eventually("the new entry is there", || {
        std::fs::read_to_string(&file)
            .unwrap()
            .contains("new.example.com")
    });
    let built = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    let flush = bench.job.main(&mut Use::of("flush", &[])).green();
    assert!(
        flush.annotations("warning").is_empty(),
        "the closure is visible: {flush:#?}"
    );
    assert_eq!(flush.list("closures"), [built]);
    let token = password(&mut bench.job);
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (1, 0, 0), "{post:#?}");
    for step in [main, flush, post] {
        let shown = step.log.lines().filter(|line| !line.starts_with("::add-mask::"));
        assert!(shown.into_iter().all(|line| !line.contains(&token)), "{step:#?}");
    }
    bench.job.left_nothing();
    assert_eq!(netrc(&mut bench.job), machine);
}

#[test]
fn a_job_that_only_reads_has_a_token_as_long_as_it_lasts() {
    let (mut bench, path) = private();
    let mut create = bench.server.niks3();
    bench
        .store
        .prepare(create.args(["tokens", "create", "reader", "--scope", "read"]));
    let token = run(&mut create).ok().trim().to_owned();
    let mut action = bench.action(&[("mode", "off"), ("auth-token", &token)]);
    bench.job.main(&mut action).green();
    assert_eq!(password(&mut bench.job), token);
    assert!(realise(&mut bench.job, &path));
    // Post is killed before it does anything: the process that keeps the file cleans up.
    bench.job.kill();
    bench.job.left_nothing();

    bench.job = Job::new(&bench.store);
    let mut action = bench.action(&[("mode", "off"), ("auth-token", &token)]);
    bench.job.main(&mut action).green();
    bench.job.post(&mut action).green();
    bench.job.left_nothing();
}

/// Lets a job read, changes the key of the issuer so that no old token counts, and waits for a new one.
#[test]
fn the_token_is_renewed_before_it_ends() {
    fn short(claims: &mut Value) {
        claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 8);
    }
    for mode in ["off", "hook"] {
        let (mut bench, path) = private();
        let _endpoint: TokenEndpoint = tokens(&mut bench, &[short]);
        let mut action = bench.action(&[("mode", mode)]);
        bench.job.main(&mut action).green();
        let first = password(&mut bench.job);
        bench.issuer.rotate();
        bench.server.kill();
        bench.server.resume();
        assert_eq!(status(&bench, &first), "401");
        let begun = Instant::now();
        eventually("the token is another one", || password(&mut bench.job) != first);
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "before the end of the first"
        );
        assert!(realise(&mut bench.job, &path));
        bench.job.post(&mut action).green();
        bench.job.left_nothing();
    }
}

/// Six minutes with tokens that live for two, which the server takes for one more.
#[test]
#[ignore = "takes six minutes; the same with shorter times is `the_token_is_renewed_before_it_ends`"]
fn a_job_is_longer_than_its_tokens() {
    fn two_minutes(claims: &mut Value) {
        claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 120);
    }
    let (mut bench, _) = private();
    let _endpoint: TokenEndpoint = tokens(&mut bench, &[two_minutes]);
    let mut action = bench.action(&[("mode", "hook")]);
    bench.job.main(&mut action).green();
    let mut seen = vec![password(&mut bench.job)];
    for minute in 0..6 {
        std::thread::sleep(Duration::from_secs(60));
        let token = password(&mut bench.job);
        if !seen.contains(&token) {
            seen.push(token);
        }
        let path = push(&bench, &format!("minute-{minute}"));
        assert!(realise(&mut bench.job, &path), "minute {minute}");
    }
    assert!(seen.len() >= 5, "a new token each 72 s: {}", seen.len());
    assert_eq!(status(&bench, &seen[0]), "401", "the first has ended");
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts().2, 0);
    bench.job.left_nothing();
}

#[test]
fn a_cache_that_this_job_cannot_read_is_left_out_and_one_notice_says_why() {
    let (mut bench, path) = private();
    let mut create = bench.server.niks3();
    bench
        .store
        .prepare(create.args(["tokens", "create", "pusher", "--scope", "push"]));
    let pusher = run(&mut create).ok().trim().to_owned();
    let mut action = bench.action(&[("auth-token", &pusher)]);
    let main = bench.job.main(&mut action).green();
    assert!(notice(&main).contains("needs the scope `read`"), "{main:#?}");
    assert_eq!(main.outputs["substituter"], "");
    assert!(!realise(&mut bench.job, &path));
    // It pushes all the same.
    bench.job.build("build \"x\" \"echo x > $out\"", &[]);
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));

    // Without any token.
    let mut action = bench.action(&[("mode", "off")]);
    let main = bench.job.main(&mut action).green();
    assert!(
        notice(&main).contains("`permissions: { id-token: write"),
        "{main:#?}"
    );
    bench.job.post(&mut action).green();

    // A pull request of a fork.
    let event = bench.job.workspace().join("event.json");
    let repo = |name: &str| json!({ "repo": { "full_name": name } });
    let text = json!({ "pull_request": { "head": repo("somebody/fork"), "base": repo("o/r") } });
    std::fs::write(&event, text.to_string()).unwrap();
    bench.job.set("GITHUB_EVENT_NAME", "pull_request");
    bench.job.set("GITHUB_EVENT_PATH", event.to_str().unwrap());
    let mut action = bench.action(&[]);
    let main = bench.job.main(&mut action).green();
    let text = notice(&main);
    assert!(
        text.contains("a pull request from a fork") && text.contains("does not read the cache"),
        "{text}"
    );
    bench.job.post(&mut action).green();

    // The entry of the machine is taken for what it is worth.
    let machine = bench.store.path("etc/netrc");
    for (password, opens) in [("wrong", false), (bench.server.token().as_str(), true)] {
        std::fs::write(
            &machine,
            format!("machine 127.0.0.1 login x password {password}\n"),
        )
        .unwrap();
        let mut action = bench.action(&[("mode", "off")]);
        let main = bench.job.main(&mut action).green();
        assert_eq!(main.annotations("notice").is_empty(), opens, "{main:#?}");
        assert_eq!(realise(&mut bench.job, &path), opens);
        bench.job.post(&mut action).green();
    }
    bench.job.left_nothing();
}

#[test]
fn whom_the_daemon_does_not_trust_is_told_the_lines_for_the_machine_once() {
    let me = run(Command::new("id").arg("-un")).ok().trim().to_owned();
    if me != "root" {
        // Nobody else can run a daemon for another user.
        return;
    }
    for protected in [true, false] {
        let arguments = Vec::from_iter(protected.then(|| "--protect-reads".to_owned()));
        let options = ServerOptions {
            arguments,
            ..ServerOptions::default()
        };
        let mut bench = Bench::with(Backend::Embedded, Store::default(), options);
        bench.store.build("build \"before\" \"echo before > $out\"");
        let daemon = NixDaemon::start(&bench.store);
        bench.job = Job::through_daemon(&bench.store, Some("nobody"), &daemon.1);
        bench.tokens.serve(&mut bench.job);
        let program = bench.job.workspace().join("niks3-action");
        std::fs::copy(niks3_test_support::program("niks3-action"), &program).unwrap();
        let files = bench.job.workspace().join("action");
        std::fs::create_dir(&files).unwrap();
        let shim = released(&files, "none");
        let mut action = bench
            .action(&[("binary", program.to_str().unwrap())])
            .with_shim(shim);
        let main = bench.job.main(&mut action).green();
        let text = notice(&main);
        assert!(text.contains("`trusted-users`"), "{text}");
        if protected {
            assert!(
                text.contains("%0Amachine 127.0.0.1 login niks3 password TOKEN"),
                "{text}"
            );
        } else {
            let url = bench.server.url();
            let key = bench.server.public_key();
            let lines = format!("%0Aextra-substituters = {url}%0Aextra-trusted-public-keys = {key}");
            assert!(text.contains(&lines), "{text}");
        }
        bench.job.post(&mut action).green();
        bench.job.left_nothing();
    }
}
