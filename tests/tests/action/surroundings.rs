//! What else is set, and who else is there.

use std::path::PathBuf;
use std::process::Command;

use niks3_test_support::{Backend, Job, Server, Use, run};

use super::bench::{Bench, has};

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
fn a_temporary_folder_whose_name_means_something_to_nix_is_no_obstacle() {
    let mut bench = Bench::new(Backend::Embedded);
    bench.job = Job::in_folder(&bench.store, "a  b:c #d");
    bench.tokens.serve(&mut bench.job);
    let mut action = bench.action(&[("mode", "hook")]);
    bench.job.main(&mut action).green();
    let path = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    assert_eq!(bench.job.post(&mut action).green().counts(), (1, 0, 0));
    assert!(bench.cached(&path));
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
    let row = |path: &str| format!("| `{}` | pushed |", path.rsplit('/').next().unwrap());
    assert!(post.summary.contains(&row(&ours)) && !post.summary.contains(&row(&theirs[0])));
    // A comparison of the store cannot tell whose paths these are.
    let notices = post.annotations("notice");
    assert!(
        notices.len() == 1 && notices[0].contains("Other jobs used the same store"),
        "{post:#?}"
    );
    bench.job.left_nothing();
    assert_eq!(other.post(&mut second).green().counts(), (2, 0, 0));
    other.left_nothing();
}

/// Builds something in a step that does not have the settings of the job.
fn without_settings(job: &mut Job, expression: &str) -> String {
    let files = job.variable("NIX_USER_CONF_FILES").unwrap().to_owned();
    job.unset("NIX_USER_CONF_FILES");
    let path = job.build(expression, &[]).remove(0);
    job.set("NIX_USER_CONF_FILES", &files);
    path
}

#[test]
fn what_a_step_builds_without_the_settings_of_the_job_is_pushed_with_a_notice() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    let seen = bench.job.build("build \"x\" \"echo x > $out\"", &[]).remove(0);
    let unseen = without_settings(&mut bench.job, "build \"y\" \"echo y > $out\"");
    let post = bench.job.post(&mut action).green();
    assert_eq!(post.counts(), (2, 0, 0), "{post:#?}");
    assert!(bench.cached(&seen) && bench.cached(&unseen));
    let notices = post.annotations("notice");
    let name = unseen.rsplit('/').next().unwrap();
    assert!(
        notices.len() == 1 && notices[0].contains(name) && notices[0].contains("NIX_USER_CONF_FILES"),
        "{post:#?}"
    );
    assert!(
        post.summary.contains("> [!NOTE]") && post.summary.contains("post-build hook"),
        "{}",
        post.summary
    );
    bench.job.left_nothing();
    // Nothing to say is nothing said.
    let mut action = bench.action(&[]);
    bench.job.main(&mut action).green();
    bench.job.build("build \"z\" \"echo z > $out\"", &[]);
    let post = bench.job.post(&mut action).green();
    assert!(post.annotations("notice").is_empty(), "{post:#?}");
    bench.job.left_nothing();
}
