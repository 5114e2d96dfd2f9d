//! What goes wrong while a job builds, and after.

use std::path::Path;
use std::process::Command;

use niks3_test_support::{Backend, Fault, Job, eventually, run};

use super::bench::{Bench, has, proxied};

/// Changes a store path behind Nix's back.
pub(super) fn spoil(path: &str) {
    let _ = run(Command::new("chmod").args(["u+w", path]));
    std::fs::write(path, "spoiled").unwrap();
}

/// Whether a process has said what to do on SIGINT.
fn catches_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 0b10 != 0)
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
    for (on_error, code) in [("fail", 1), ("warn", 0), ("ignore", 0)] {
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
        for (level, shown) in [("error", on_error == "fail"), ("warning", on_error == "warn")] {
            assert_eq!(post.annotations(level).len(), usize::from(shown), "{post:#?}");
        }
        has(&post, "could not be pushed");
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
fn what_a_killed_pusher_left_is_pushed_by_post() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    let first = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    let daemon = bench.job.process("daemon").unwrap();
    let _ = run(Command::new("kill").args(["-9", &daemon.to_string()]));
    let second = bench.job.build("build \"y\" \"echo y > $out\"", &[]).remove(0);
    let post = bench.job.post(&mut action).green();
    let (pushed, cached, failed) = post.counts();
    assert_eq!((pushed + cached, failed), (2, 0), "{post:#?}");
    assert!(bench.cached(&first) && bench.cached(&second));
    bench.job.left_nothing();
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
    eventually("post runs", || bench.job.process("post").is_some());
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

#[test]
fn a_runner_that_is_gone_takes_the_pusher_with_it() {
    for kill in [Job::kill, Job::kill_unreaped] {
        let mut bench = Bench::with_token(Backend::Embedded);
        let mut action = bench.action(&[]);
        bench.job.main(&mut action).green();
        assert!(bench.job.process("daemon").is_some());
        kill(&mut bench.job);
        bench.job.left_nothing();
    }
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
    let listening = || bench.job.process("post").filter(|pid| catches_interrupts(*pid));
    eventually("post listens for signals", || listening().is_some());
    let asked = std::time::Instant::now();
    let _ = run(Command::new("kill").args(["-INT", &listening().unwrap().to_string()]));
    let post = bench.job.end(&mut action, &started).red();
    let limit = std::time::Duration::from_secs(7);
    assert!(
        asked.elapsed() < limit,
        "GitHub kills it after 7.5 s: {:?}",
        asked.elapsed()
    );
    assert_eq!(post.counts(), (0, 0, 1), "{post:#?}");
    has(&post, "the job was cancelled");
    bench.job.left_nothing();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_kills_a_post_that_drains_leaves_a_summary_and_the_conclusion() {
    let (mut bench, proxy) = proxied().await;
    bench.job.set("GITHUB_REPOSITORY", "o/r");
    bench.job.set("GITHUB_RUN_ID", "7");
    let mut action = bench.action(&[]).with("server-url", &proxy.url());
    let main = bench.job.main(&mut action).green();
    let first = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    eventually("the first path is pushed", || bench.cached(&first));
    proxy.fail("POST", "/commit", Fault::Silence, 1);
    bench.job.build("build \"y\" \"echo y > $out\"", &[]);
    let mut action = action.with("job-status", "cancelled");
    let started = bench.job.begin(&action);
    proxy.happened().await;
    eventually("there is a summary", || {
        started.summary().contains("-x` | pushed |")
    });
    let id = main.outputs["run-url"].rsplit('/').next().unwrap();
    let mut show = bench.server.niks3();
    bench.store.prepare(show.args(["runs", "show", "--json", id]));
    assert_eq!(run(&mut show).json()["conclusion"], "cancelled");
    for (pid, line) in bench.job.processes() {
        if line.starts_with("node") || line.ends_with("niks3-action post") {
            let _ = run(Command::new("kill").args(["-9", &pid.to_string()]));
        }
    }
    let post = bench.job.end(&mut action, &started);
    assert!(post.summary.contains("still being pushed"), "{post:#?}");
    bench.job.kill();
    bench.job.left_nothing();
}

#[test]
fn what_waits_is_kept_from_the_local_garbage_collector() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    bench.server.kill();
    let path = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    let roots = || bench.store.nix("nix-store", &["--query", "--roots", &path]);
    eventually("the path has a root", || roots().contains("/queue/roots/"));
    bench.store.nix("nix-collect-garbage", &[]);
    assert!(Path::new(&path).exists());
    bench.server.resume();
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
    bench.store.nix("nix-collect-garbage", &[]);
    assert!(!Path::new(&path).exists(), "nothing keeps it any more");
}
