//! What is pushed, in every mode and with every Nix.

use std::path::{Path, PathBuf};
use std::process::Command;

use niks3_test_support::{Backend, Job, Step, Store, Use, eventually, on_both, run};

use super::bench::{Bench, has, released};

on_both!(
    what_a_job_builds_and_only_that_is_in_the_cache,
    a_scan_finds_what_was_built_and_only_that,
);

/// An app, a tool that only its build needs, and a library that comes from upstream.
const LIB: &str = "build \"lib\" \"mkdir $out; echo lib > $out/lib\"";

fn app() -> String {
    format!(
        "let lib = {LIB}; tool = build \"tool\" \"echo tool > $out\"; in \
         build \"app\" \"test -e ${{tool}}; echo ${{lib}} > $out\""
    )
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
    assert!(bench.cached(&built) && bench.cached(&tool), "{post:#?}");
    assert!(!bench.cached(&lib), "what was substituted is not pushed");
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

/// The daemon of Nix, as root has it; it ends with the test.
pub(super) struct NixDaemon(std::process::Child, pub(super) PathBuf);

impl NixDaemon {
    pub(super) fn start(store: &Store) -> Self {
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
        eventually("the daemon listens", || socket.exists());
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
    let me = run(Command::new("id").arg("-un")).ok().trim().to_owned();
    // Only root can run a daemon for another user; one for oneself makes the same difference.
    let other = (me == "root").then_some("nobody");
    let user = other.unwrap_or(&me);
    for (trusted, said) in [(user, "while it is built"), ("root", "when the job is done")] {
        let mut bench = Bench::new(Backend::Embedded);
        let config = bench.store.path("etc/nix.conf");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, format!("{text}trusted-users = {trusted}\n")).unwrap();
        bench.store.build("build \"before\" \"echo before > $out\"");
        let daemon = NixDaemon::start(&bench.store);
        bench.job = Job::through_daemon(&bench.store, other, &daemon.1);
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
    // Twenty builds, and so twenty runs of the hook, of a hundred paths each.
    let expression = r#"builtins.concatMap (n: let drv = derivation {
        name = "p${toString n}"; system = builtins.currentSystem; builder = "/bin/sh";
        outputs = builtins.genList (o: "o${toString o}") 100;
        args = [ "-ec" "for o in $outputs; do eval \"echo ${toString n} $o > \\$$o\"; done" ]; };
        in builtins.genList (o: drv.${"o${toString o}"}) 100) (builtins.genList (n: n) 20)"#;
    let paths = bench.job.build(expression, &["-j", "4", "--quiet"]);
    assert_eq!(paths.len(), 2000);
    let flushed = bench.job.main(&mut Use::of("flush", &[])).green();
    assert_eq!(flushed.list("closures").len(), 2000);
    assert_eq!(flushed.outputs["store-paths"].lines().count(), 2000);
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (2000, 0, 0));
    assert!(post.summary.contains("and 1500 more") && post.summary.len() < 200_000);
    assert!(bench.cached(&paths[0]) && bench.cached(&paths[1999]));
    bench.job.left_nothing();
}

#[test]
fn the_summary_says_what_was_verified_and_where_the_cache_has_something_else() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let disputed = "build \"disputed\" \"echo disputed > $out\"";
    let path = bench.store.build(disputed).remove(0);
    let mut push = bench.server.niks3();
    bench.store.prepare(push.args(["push", &path]));
    let _ = run(&mut push).ok();
    bench.store.nix("nix-store", &["--delete", &path]);
    // As if somebody else had brought it with another size.
    let base = path.rsplit('/').next().unwrap();
    let size = bench.server.sql(&format!(
        "UPDATE paths SET nar_size = nar_size + 8 WHERE name = '{base}' RETURNING nar_size"
    ));
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    bench.job.build(disputed, &["--option", "substitute", "false"]);
    bench.job.build("build \"fine\" \"echo fine > $out\"", &[]);
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (1, 1, 0), "{post:#?}");
    let claimed = size[0].parse::<u64>().unwrap() - 8;
    let conflict = format!(
        "{path} is in the cache with other contents, which stay: NarSize in the cache {}, in this store {claimed}",
        size[0]
    );
    assert_eq!(post.annotations("warning"), [conflict], "{post:#?}");
    for text in ["1 verified, 1 conflict;", "**Conflicts**", "NarSize in the cache"] {
        assert!(post.summary.contains(text), "{text}: {}", post.summary);
    }
    bench.job.left_nothing();
}
