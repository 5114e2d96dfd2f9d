//! The action, from main to post, with real builds between: what the runner sees, and what is in the cache after it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::{Path, PathBuf};
use std::process::Command;

use niks3_test_support::{
    Backend, Fault, FaultProxy, Job, Server, ServerOptions, Step, Store, TokenEndpoint, Use, on_both, run,
};

on_both!(
    what_a_job_builds_and_only_that_is_in_the_cache,
    a_scan_finds_what_was_built_and_only_that,
);

/// A job with a store and a server.
struct Bench {
    store: Store,
    server: Server,
    job: Job,
    tokens: TokenEndpoint,
}

impl Bench {
    fn new(backend: Backend) -> Self {
        Self::of(backend, Store::default())
    }

    fn of(backend: Backend, store: Store) -> Self {
        let server = Server::start(backend, &store.dir());
        let job = Job::new(&store);
        let token = server.token();
        let tokens = TokenEndpoint::start(move |_| Ok(token.clone()));
        Self {
            store,
            server,
            job,
            tokens,
        }
    }

    /// With a token for the job.
    fn with_token(backend: Backend) -> Self {
        let mut bench = Self::new(backend);
        bench.tokens.serve(&mut bench.job);
        bench
    }

    fn action(&self, inputs: &[(&str, &str)]) -> Use {
        Use::new(&[
            ("server-url", self.server.url().as_str()),
            ("drain-timeout", "120"),
        ])
        .with_all(inputs)
    }

    /// Something that was built elsewhere, in a cache that the job substitutes from: the options for that.
    fn upstream(&self, expression: &str) -> (String, [String; 6]) {
        let path = self.store.build(expression).remove(0);
        let cache = format!("file://{}", self.store.path("upstream").display());
        self.store.nix("nix", &["copy", "--to", &cache, &path]);
        self.store.nix("nix-store", &["--delete", &path]);
        let options = [
            "--option",
            "substituters",
            &cache,
            "--option",
            "require-sigs",
            "false",
        ];
        (path, options.map(str::to_owned))
    }

    fn cached(&self, path: &str) -> bool {
        let hash = &Path::new(path).file_name().unwrap().to_str().unwrap()[..32];
        self.server.get(&format!("{hash}.narinfo")).is_some()
    }
}

/// An app, a tool that only its build needs, and a library that comes from upstream.
const LIB: &str = "build \"lib\" \"mkdir $out; echo lib > $out/lib\"";

fn app() -> String {
    format!(
        "let lib = {LIB}; tool = build \"tool\" \"echo tool > $out\"; in \
         build \"app\" \"test -e ${{tool}}; echo ${{lib}} > $out\""
    )
}

fn has(step: &Step, text: &str) {
    assert!(step.log.contains(text), "no {text:?} in {}", step.log);
}

/// Builds `app` in a job, with its library from upstream; checks what is in the cache after it.
fn builds_an_app(backend: Backend, mode: &str) -> Step {
    let mut bench = Bench::with_token(backend);
    let (lib, options) = bench.upstream(LIB);
    let mut action = bench.action(&[("mode", mode)]);
    bench.job.main(&mut action).green();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let built = bench.job.build(&app(), &options).remove(0);
    let tool = bench.store.build("build \"tool\" \"echo tool > $out\"").remove(0);
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (2, 0, 0), "{post:#?}");
    assert!(post.count("bytes-uploaded") > 0);
    assert!(bench.cached(&built) && bench.cached(&tool), "{post:#?}");
    assert!(!bench.cached(&lib), "what was substituted is not pushed");
    let closures: Vec<String> = serde_json::from_str(&post.outputs["closures"]).unwrap();
    assert!(
        closures.contains(&built) && closures.contains(&tool),
        "{closures:?}"
    );
    for name in ["-app` | pushed |", "-tool` | pushed |", "2 pushed"] {
        assert!(post.summary.contains(name), "{}", post.summary);
    }
    assert!(!post.summary.contains("-lib"), "{}", post.summary);
    bench.job.left_nothing();
    assert!(
        bench
            .job
            .variable("NIX_USER_CONF_FILES")
            .is_none_or(|files| !files.contains("niks3"))
    );
    post
}

async fn what_a_job_builds_and_only_that_is_in_the_cache(backend: Backend) {
    builds_an_app(backend, "auto");
}

async fn a_scan_finds_what_was_built_and_only_that(backend: Backend) {
    let post = builds_an_app(backend, "scan");
    has(&post, "2 paths were built");
}

#[test]
fn what_was_pushed_is_substituted_with_the_settings_of_main() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut first = bench.action(&[]);
    bench.job.main(&mut first).green();
    let path = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    bench.job.post(&mut first).green();
    bench.store.nix("nix-store", &["--delete", &path]);

    let mut second = bench.action(&[]);
    bench.job.main(&mut second).green();
    let output = bench.job.run(&[
        "nix-store",
        "--realise",
        &path,
        "--option",
        "narinfo-cache-negative-ttl",
        "0",
    ]);
    assert!(output.code == 0 && Path::new(&path).exists(), "{output:?}");
    let post = bench.job.post(&mut second).green();
    assert_eq!(
        post.counts(),
        (0, 0, 0),
        "what was substituted is not pushed again"
    );
    bench.job.left_nothing();
}

#[test]
fn paths_are_pushed_with_all_they_refer_to_and_pinned() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let built = bench
        .store
        .build("let a = build \"a\" \"echo a > $out\"; in build \"b\" \"echo ${a} > $out\"")
        .remove(0);
    let other = bench
        .store
        .build("build \"other\" \"echo other > $out\"")
        .remove(0);
    let workspace = bench.job.workspace();
    std::os::unix::fs::symlink(&built, workspace.join("result-b")).unwrap();
    std::os::unix::fs::symlink(&other, workspace.join("other")).unwrap();
    let mut action = bench.action(&[("mode", "paths"), ("paths", "result-*"), ("pin", "release")]);
    bench.job.main(&mut action).green();
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (2, 0, 0), "{post:#?}");
    assert_eq!(
        bench.server.get("pins/release"),
        Some(format!("{built}\n").into_bytes())
    );
    assert!(!bench.cached(&other));

    let mut again = bench.action(&[("mode", "paths"), ("paths", "result-* other")]);
    bench.job.main(&mut again).green();
    let post = bench.job.post(&mut again).green();
    assert_eq!(post.counts(), (1, 2, 0), "{post:#?}");

    let mut wrong = bench.action(&[("mode", "paths"), ("paths", "nothing-* result-b")]);
    bench.job.main(&mut wrong).green();
    let post = bench.job.post(&mut wrong).red();
    assert_eq!(post.counts(), (0, 2, 0), "the others are pushed all the same");
    assert!(
        post.annotations("error")[0].contains("nothing matches 'nothing-*'"),
        "{post:#?}"
    );
    bench.job.left_nothing();
}

/// Changes a store path behind Nix's back.
fn spoil(path: &str) {
    let _ = run(Command::new("chmod").args(["u+w", path]));
    std::fs::write(path, "spoiled").unwrap();
}

#[test]
fn a_path_that_cannot_be_pushed_fails_alone_and_does_to_the_job_what_the_input_says() {
    for (on_error, code) in [("fail", 1), ("warn", 0), ("ignore", 0)] {
        let mut bench = Bench::with_token(Backend::Embedded);
        let mut action = bench.action(&[("mode", "scan"), ("on-error", on_error)]);
        bench.job.main(&mut action).green();
        let names = ["one", "bad", "three", "four", "five"];
        let paths: Vec<String> = names
            .iter()
            .map(|name| {
                bench
                    .job
                    .build(&format!("build \"{name}\" \"echo {name} > $out\""), &[])
                    .remove(0)
            })
            .collect();
        spoil(&paths[1]);
        let post = bench.job.post(&mut action);
        assert_eq!(post.code, code, "{post:#?}");
        assert_eq!(post.counts(), (4, 0, 1), "{post:#?}");
        assert!(
            paths
                .iter()
                .all(|path| bench.cached(path) != path.ends_with("-bad"))
        );
        assert!(post.summary.contains("-bad` | **failed** |"), "{}", post.summary);
        for (level, shown) in [("error", on_error == "fail"), ("warning", on_error == "warn")] {
            assert_eq!(post.annotations(level).len(), usize::from(shown), "{post:#?}");
        }
        has(&post, "-bad is not in the cache");
        bench.job.left_nothing();
    }
}

#[test]
fn a_server_that_dies_between_main_and_post_costs_what_the_input_says() {
    for (on_error, code) in [("fail", 1), ("warn", 0)] {
        let mut bench = Bench::with_token(Backend::Embedded);
        let mut action = bench.action(&[("on-error", on_error), ("drain-timeout", "3")]);
        bench.job.main(&mut action).green();
        bench.server.kill();
        bench.job.build(
            "build \"x\" \"echo x > $out\"",
            &["--option", "extra-substituters", ""],
        );
        let post = bench.job.post(&mut action);
        assert_eq!((post.code, post.counts()), (code, (0, 0, 1)), "{post:#?}");
        let level = if code == 1 { "error" } else { "warning" };
        let said = post.annotations(level);
        assert!(
            said.len() == 1 && said[0].contains("could not be pushed"),
            "{post:#?}"
        );
        has(&post, "::group::niks3: log of the pusher");
        bench.job.left_nothing();
    }
}

#[test]
fn a_server_that_comes_back_gets_everything() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    bench.server.kill();
    let path = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    bench.server.resume();
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (1, 0, 0));
    assert!(bench.cached(&path));
}

#[test]
fn a_server_that_is_not_there_is_named_before_anything_is_built() {
    for (on_error, code) in [("fail", 1), ("warn", 0), ("ignore", 0)] {
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
    }
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
fn a_job_that_may_not_ask_for_tokens_is_told_which_permission_it_lacks() {
    let mut bench = Bench::new(Backend::Embedded);
    pull_request(&mut bench.job, "owner/repo");
    let mut action = bench.action(&[]);
    let main = bench.job.main(&mut action).red();
    let errors = main.annotations("error");
    assert!(
        errors.len() == 1 && errors[0].contains("id-token: write"),
        "{main:#?}"
    );
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
    bench
        .job
        .main(&mut bench.action(&[("audience", "https://x.example")]))
        .green();
    let requests = bench.tokens.requests();
    assert!(
        requests[0].contains("audience=https%3A%2F%2Fx.example"),
        "{requests:?}"
    );
}

#[test]
fn a_home_that_cannot_be_written_is_enough() {
    let mut bench = Bench::with_token(Backend::Embedded);
    bench.job.set("HOME", "/proc");
    bench.job.unset("XDG_CONFIG_HOME");
    let mut action = bench.action(&[("mode", "hook")]);
    bench.job.main(&mut action).green();
    bench.job.build("build \"x\" \"echo x > $out\"", &[]);
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
    bench.job.left_nothing();
}

#[test]
fn what_the_user_has_set_stays_set() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let config = PathBuf::from(bench.job.variable("XDG_CONFIG_HOME").unwrap()).join("nix");
    std::fs::create_dir_all(&config).unwrap();
    let marker = bench.job.workspace().join("marker");
    let hook = bench.job.workspace().join("hook of the user");
    std::fs::write(
        &hook,
        format!("#!/bin/sh\necho \"$DRV_PATH\" >> {}\n", marker.display()),
    )
    .unwrap();
    let _ = run(Command::new("chmod").arg("+x").arg(&hook));
    let text = format!("connect-timeout = 7\npost-build-hook = {}\n", hook.display());
    std::fs::write(config.join("nix.conf"), &text).unwrap();
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    let shown = bench.job.run(&["nix", "show-config"]).ok();
    assert!(shown.contains("connect-timeout = 7"), "{shown}");
    bench.job.build("build \"x\" \"echo x > $out\"", &[]);
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
    let ran = std::fs::read_to_string(marker).unwrap();
    assert!(ran.trim().ends_with("-x.drv"), "both hooks ran: {ran}");
    assert_eq!(std::fs::read_to_string(config.join("nix.conf")).unwrap(), text);
    let shown = bench.job.run(&["nix", "show-config"]).ok();
    assert!(
        shown.contains("connect-timeout = 7") && !shown.contains(&bench.server.url()),
        "{shown}"
    );
}

#[test]
fn a_hook_that_the_environment_sets_is_not_replaced_and_the_store_is_compared_instead() {
    let mut bench = Bench::with_token(Backend::Embedded);
    bench.job.set("NIX_CONFIG", "post-build-hook = /bin/true");
    let main = bench.job.main(&mut bench.action(&[("mode", "hook")])).red();
    has(&main, "post-build-hook");
    let mut action = bench.action(&[]);
    has(&bench.job.main(&mut action).green(), "comparing the store");
    bench.job.build("build \"x\" \"echo x > $out\"", &[]);
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
    bench.job.left_nothing();
}

#[test]
fn a_deep_temporary_folder_is_no_obstacle() {
    let mut bench = Bench::new(Backend::Embedded);
    bench.job = Job::in_folder(&bench.store, &"deep".repeat(40));
    bench.tokens.serve(&mut bench.job);
    let mut action = bench.action(&[("mode", "hook")]);
    bench.job.main(&mut action).green();
    bench.job.build("build \"x\" \"echo x > $out\"", &[]);
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
    bench.job.left_nothing();
}

#[test]
fn what_a_killed_pusher_left_is_pushed_by_post() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    let first = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    let daemon = bench.job.process("daemon").unwrap();
    let _ = run(Command::new("kill").args(["-9", &daemon.to_string()]));
    let second = bench.job.build("build \"y\" \"echo y > $out\"", &[]).remove(0);
    let post = bench.job.post(&mut action).green();
    assert_eq!(
        (
            post.count("paths-pushed") + post.count("paths-cached"),
            post.count("paths-failed")
        ),
        (2, 0),
        "{post:#?}"
    );
    assert!(bench.cached(&first) && bench.cached(&second));
    bench.job.left_nothing();
}

/// A job whose server is behind a proxy.
async fn proxied() -> (Bench, FaultProxy) {
    let store = Store::default();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let proxy = FaultProxy::before(&format!("http://127.0.0.1:{port}")).await;
    let options = ServerOptions {
        store_dir: Some(store.dir()),
        port: Some(port),
        server_url: Some(proxy.url()),
        ..ServerOptions::default()
    };
    let server = Server::with(Backend::Embedded, options);
    let mut job = Job::new(&store);
    let token = server.token();
    let tokens = TokenEndpoint::start(move |_| Ok(token.clone()));
    tokens.serve(&mut job);
    (
        Bench {
            store,
            server,
            job,
            tokens,
        },
        proxy,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_post_and_a_job_that_ends_leave_nothing() {
    let (mut bench, proxy) = proxied().await;
    let mut action = bench.action(&[]).with("server-url", &proxy.url());
    bench.job.main(&mut action).green();
    proxy.fail("POST", "/commit", Fault::Hold, 1);
    bench.job.build("build \"x\" \"echo x > $out\"", &[]);
    let post = bench.job.begin(&action);
    proxy.happened().await;
    while bench.job.process("post").is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for (pid, line) in bench.job.processes() {
        if line.starts_with("node") || line.ends_with("niks3-action post") {
            let _ = run(Command::new("kill").args(["-9", &pid.to_string()]));
        }
    }
    assert_eq!(post.wait().code, 137);
    proxy.release();
    bench.job.kill();
    bench.job.left_nothing();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_runner_that_is_gone_takes_the_pusher_with_it() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    assert!(bench.job.process("daemon").is_some());
    bench.job.kill();
    bench.job.left_nothing();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_post_that_is_cancelled_says_so_and_leaves_nothing() {
    let (mut bench, proxy) = proxied().await;
    let mut action = bench.action(&[]).with("server-url", &proxy.url());
    bench.job.main(&mut action).green();
    proxy.fail("POST", "/commit", Fault::Silence, 1);
    bench.job.build("build \"x\" \"echo x > $out\"", &[]);
    let started = bench.job.begin(&action);
    proxy.happened().await;
    let post = loop {
        match bench.job.process("post") {
            Some(pid) => break pid,
            None => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    };
    // It listens for signals before it looks at anything else.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let _ = run(Command::new("kill").args(["-INT", &post.to_string()]));
    let post = bench.job.end(&mut action, &started).red();
    assert_eq!(post.counts(), (0, 0, 1), "{post:#?}");
    has(&post, "the job was cancelled");
    bench.job.left_nothing();
}

#[test]
fn two_uses_in_one_job_each_push_everything_to_their_server() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let other = Server::start(Backend::Embedded, &bench.store.dir());
    let mut first = bench.action(&[]);
    let token = other.token();
    let mut second = Use::new(&[("server-url", other.url().as_str()), ("auth-token", &token)]);
    bench.job.main(&mut first).green();
    bench.job.main(&mut second).green();
    let path = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    assert_eq!(bench.job.post(&mut second).green().counts(), (1, 0, 0));
    assert_eq!(bench.job.post(&mut first).green().counts(), (1, 0, 0));
    assert!(
        bench.cached(&path)
            && other
                .get(&format!(
                    "{}.narinfo",
                    &path[bench.store.dir().to_str().unwrap().len() + 1..][..32]
                ))
                .is_some()
    );
    bench.job.left_nothing();
}

#[test]
fn two_jobs_at_once_on_one_machine_count_what_is_theirs() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut other = Job::new(&bench.store);
    bench.tokens.serve(&mut other);
    let (mut first, mut second) = (bench.action(&[]), bench.action(&[]));
    bench.job.main(&mut first).green();
    other.main(&mut second).green();
    let ours = bench
        .job
        .build("build \"ours\" \"echo ours > $out\"", &[])
        .remove(0);
    let theirs: Vec<String> = ["a", "b"]
        .iter()
        .map(|name| {
            other
                .build(&format!("build \"{name}\" \"echo {name} > $out\""), &[])
                .remove(0)
        })
        .collect();
    let post = bench.job.post(&mut first).green();
    assert_eq!(post.counts(), (1, 0, 0));
    assert!(post.outputs["closures"].contains(&ours) && !post.outputs["closures"].contains(&theirs[0]));
    bench.job.left_nothing();
    assert_eq!(other.post(&mut second).green().counts(), (2, 0, 0));
    other.left_nothing();
}

#[test]
fn what_waits_is_kept_from_the_local_garbage_collector() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    bench.server.kill();
    let path = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    let roots = || bench.store.nix("nix-store", &["--query", "--roots", &path]);
    let begun = std::time::Instant::now();
    while !roots().contains("/queue/roots/") {
        assert!(begun.elapsed().as_secs() < 30, "no root for {path}");
    }
    bench.store.nix("nix-collect-garbage", &[]);
    assert!(Path::new(&path).exists());
    bench.server.resume();
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
    bench.store.nix("nix-collect-garbage", &[]);
    assert!(!Path::new(&path).exists(), "nothing keeps it any more");
}

#[test]
fn inputs_that_make_no_sense_are_named() {
    let mut bench = Bench::with_token(Backend::Embedded);
    for (name, value) in [
        ("mode", "everything"),
        ("server-url", ""),
        ("on-error", "x"),
        ("drain-timeout", "soon"),
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

/// The action's files in a folder of their own, with checksums of a release.
fn released(folder: &Path, checksum: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../action/shim.js");
    std::fs::copy(ours, folder.join("shim.js")).unwrap();
    let system = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let checksums = serde_json::json!({ "latest": "v1.0.0", "v1.0.0": { (system): checksum } });
    std::fs::write(folder.join("checksums.json"), checksums.to_string()).unwrap();
    folder.join("shim.js")
}

/// Serves a file under every address, with `busybox httpd` in spirit: enough for one program.
fn releases(bytes: Vec<u8>) -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/releases", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                line.clear();
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                bytes.len()
            );
            let _ = reader
                .get_mut()
                .write_all(head.as_bytes())
                .and_then(|()| reader.get_mut().write_all(&bytes));
        }
    });
    address
}

#[test]
fn a_program_of_a_release_runs_only_if_it_is_the_one_that_was_released() {
    use sha2::{Digest as _, Sha256};
    let program = std::fs::read(niks3_test_support::program("niks3-action")).unwrap();
    let checksum: String = Sha256::digest(&program)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let url = releases(program);
    for (expected, fits) in [(checksum.as_str(), true), ("00", false)] {
        let mut bench = Bench::with_token(Backend::Embedded);
        bench.job.set("NIKS3_RELEASES_URL", &url);
        let files = tempfile::tempdir().unwrap();
        let shim = released(files.path(), expected);
        let mut action = bench.action(&[("binary", "")]).with_shim(shim.clone());
        let main = bench.job.main(&mut action);
        if fits {
            main.green();
            bench.job.build("build \"x\" \"echo x > $out\"", &[]);
            assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
        } else {
            let errors = main.red().annotations("error");
            assert!(
                errors[0].contains("not what this action was released with"),
                "{errors:?}"
            );
            assert!(bench.job.process("main").is_none());
        }
        let mut unknown = bench
            .action(&[("binary", ""), ("version", "v9.9.9")])
            .with_shim(shim);
        let errors = bench.job.main(&mut unknown).red().annotations("error");
        assert!(
            errors[0].contains("no checksums for the release 'v9.9.9'"),
            "{errors:?}"
        );
    }
}

#[test]
fn the_second_action_collects_garbage_and_says_what_went() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let path = bench.store.build("build \"x\" \"echo x > $out\"").remove(0);
    let mut push = bench.server.niks3();
    bench.store.prepare(push.args(["push", &path]));
    let _ = run(&mut push).ok();
    let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join("../action/gc/gc.js");
    let inputs = [("older-than", "0s"), ("force", "true")];
    let mut action = bench.action(&inputs).with_shim(shim);
    // Closures of this very second stay.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let dry = bench
        .job
        .main(&mut action.clone().with("dry-run", "true"))
        .green();
    assert_eq!(dry.count("old-closures-deleted"), 1, "{dry:#?}");
    assert!(bench.cached(&path));
    let step = bench.job.main(&mut action).green();
    assert_eq!(step.count("old-closures-deleted"), 1, "{step:#?}");
    assert!(step.count("objects-deleted-after-grace-period") > 0 && step.summary.contains("bytes-freed"));
    assert!(!bench.cached(&path));
    let wrong = bench.job.main(&mut action.with("older-than", "long")).red();
    assert!(wrong.annotations("error")[0].contains("older-than"), "{wrong:#?}");
}

/// What action.yml declares below a key: the names two spaces in.
fn declared(file: &str, key: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split(&format!("\n{key}:\n")).nth(1).unwrap();
    section
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(' '))
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with(' '))
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_the_programs_set_is_what_the_actions_declare() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    let post = bench.job.post(&mut action).green();
    let mut outputs = declared("action.yml", "outputs");
    outputs.sort();
    assert_eq!(post.outputs.into_keys().collect::<Vec<_>>(), outputs);
    let inputs = declared("action.yml", "inputs");
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    for input in inputs.iter().filter(|input| *input != "github-token") {
        assert!(
            readme.contains(&format!("`{input}`")),
            "README.md is silent about {input}"
        );
    }
    assert_eq!(inputs.len(), 15, "{inputs:?}");
}

/// The daemon of Nix, as root has it; it ends with the test.
struct NixDaemon(std::process::Child, PathBuf);

impl NixDaemon {
    fn start(store: &Store) -> Self {
        let socket = store.path("socket");
        let mut command = Command::new("nix-daemon");
        store.prepare(&mut command);
        // What the job's user sees of the store, everybody may.
        for folder in ["", "etc"] {
            let _ = run(Command::new("chmod").arg("755").arg(store.path(folder)));
        }
        let child = command
            .env("NIX_DAEMON_SOCKET_PATH", &socket)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !socket.exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Self(child, socket)
    }
}

impl Drop for NixDaemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_daemon_of_nix_runs_the_hook_for_a_user_it_trusts_and_else_the_store_is_compared() {
    let is_root = run(Command::new("id").arg("-u")).ok().trim() == "0";
    if !is_root {
        // Only root can run a daemon for another user.
        return;
    }
    for (trusted, said) in [("nobody", "while it is built"), ("root", "when the job is done")] {
        let mut bench = Bench::new(Backend::Embedded);
        let config = bench.store.path("etc/nix.conf");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, format!("{text}trusted-users = {trusted}\n")).unwrap();
        bench.store.build("build \"before\" \"echo before > $out\"");
        let daemon = NixDaemon::start(&bench.store);
        bench.job = Job::of_user(&bench.store, "nobody", &daemon.1);
        bench.tokens.serve(&mut bench.job);
        let program = bench.job.workspace().join("niks3-action");
        std::fs::copy(niks3_test_support::program("niks3-action"), &program).unwrap();
        let files = bench.job.workspace().join("action");
        std::fs::create_dir(&files).unwrap();
        let shim = released(&files, "none");
        let mut action = bench
            .action(&[("binary", program.to_str().unwrap())])
            .with_shim(shim);
        has(&bench.job.main(&mut action).green(), said);
        let path = bench
            .job
            .build("build \"x\" \"id -u; echo x > $out\"", &[])
            .remove(0);
        assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
        assert!(bench.cached(&path));
        bench.job.left_nothing();
    }
}

#[test]
fn every_version_of_nix_pushes_what_it_builds() {
    let versions = std::env::var("NIKS3_TEST_NIX_ALL").expect("run scripts/setup, and eval what it prints");
    for programs in versions.split(':') {
        for (mode, said) in [("auto", "while it is built"), ("scan", "when the job is done")] {
            let mut bench = Bench::of(Backend::Embedded, Store::new(Some(programs.into())));
            bench.tokens.serve(&mut bench.job);
            let mut action = bench.action(&[("mode", mode)]);
            has(&bench.job.main(&mut action).green(), said);
            let expression =
                "let tool = build \"tool\" \"echo tool > $out\"; in ca \"x\" \"cat ${tool} > $out\"";
            let path = bench.job.build(expression, &[]).remove(0);
            let post = bench.job.post(&mut action).green();
            assert_eq!(post.counts(), (2, 0, 0), "{programs} {mode} {post:#?}");
            assert!(bench.cached(&path));
            bench.job.left_nothing();
        }
    }
}

#[test]
fn two_thousand_paths_are_pushed_while_they_are_built() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[("mode", "hook")]);
    bench.job.main(&mut action).green();
    let expression = "builtins.genList (n: build \"p${toString n}\" \"echo ${toString n} > $out\") 2000";
    let paths = bench.job.build(expression, &["-j", "4", "--quiet"]);
    assert_eq!(paths.len(), 2000);
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (2000, 0, 0));
    let closures: Vec<String> = serde_json::from_str(&post.outputs["closures"]).unwrap();
    assert_eq!(closures.len(), 2000);
    assert!(post.summary.contains("and 1500 more") && post.summary.len() < 200_000);
    assert!(bench.cached(&paths[0]) && bench.cached(&paths[1999]));
    bench.job.left_nothing();
}
