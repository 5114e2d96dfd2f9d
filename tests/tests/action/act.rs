//! The actions under nektos/act, a runner that others wrote, in workflows as users have them.
//!
//! It differs from GitHub's: it passes on outputs of a post step, runs the `node` in PATH whatever `using` says, and
//! leaves orphans alone. The stand-in follows GitHub's runner there.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use niks3_test_support::{Backend, eventually, program, run};
use tempfile::TempDir;

use super::{bench::Bench, uses};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Copies files into a folder, where they have the same names.
fn copy(from: &Path, names: &[&str], to: &Path) {
    for name in names {
        let target = to.join(name);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(from.join(name), target).unwrap();
    }
}

/// A repository with one workflow, and act's own folders.
struct Project {
    bench: Bench,
    folder: TempDir,
    workflow: String,
}

/// A run of the workflow.
#[derive(Debug)]
struct Run {
    code: i32,
    log: String,
}

impl Run {
    #[track_caller]
    fn green(self) -> Self {
        assert!(self.code == 0, "{}", self.log);
        self
    }

    #[track_caller]
    fn red(self) -> Self {
        assert!(self.code == 1, "{}", self.log);
        self
    }

    /// Our annotations of a level.
    fn annotations(&self, level: &str) -> Vec<&str> {
        let mark = format!("::{level} title=niks3::");
        let texts = self.log.lines().filter_map(|line| line.split_once(&mark));
        texts.map(|(_, text)| text).collect()
    }

    /// The line that a step has printed after a word.
    #[track_caller]
    fn printed(&self, word: &str) -> &str {
        let mark = format!("  | {word} ");
        let found = self.log.lines().find_map(|line| line.split_once(&mark));
        found.unwrap_or_else(|| panic!("no {word}: {}", self.log)).1
    }
}

impl Project {
    fn new(workflow: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let ours = root().join("tests/tests/action/workflows");
        copy(&ours, &["default.nix", "comp/action.yml"], &path("repository"));
        let file = format!("{workflow}.yml");
        copy(&ours, &[&file], &path("repository/.github/workflows"));
        let action = [
            "action.yml",
            "action/shim.js",
            "action/checksums.json",
            "action/flush/action.yml",
            "action/flush/flush.js",
        ];
        copy(&root(), &action, &path("niks3"));
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command
                .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
                .args(arguments)
                .current_dir(path("repository"));
            let _ = run(&mut command).ok();
        };
        git(&["init", "--quiet", "--initial-branch", "main"]);
        git(&["remote", "add", "origin", "https://github.com/o/r.git"]);
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", "x"]);
        Self {
            bench: Bench::new(Backend::Embedded),
            folder,
            workflow: format!(".github/workflows/{file}"),
        }
    }

    fn run(&self, variables: &[(&str, &str)]) -> Run {
        let tokens = self.bench.tokens.variables();
        self.run_with(
            variables,
            tokens.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        )
    }

    /// With variables of the job that are not of Nix.
    fn run_with(&self, variables: &[(&str, &str)], of_job: Vec<(String, String)>) -> Run {
        let act = std::env::var("NIKS3_TEST_ACT").expect("run scripts/setup, and eval what it prints");
        let folder = |name: &str| {
            let folder = self.folder.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            folder
        };
        let mut command = Command::new(act);
        command
            .args(["push", "--workflows", &self.workflow])
            .args(["--platform", "ubuntu-24.04=-self-hosted", "--no-cache-server"])
            .arg("--local-repository")
            .arg(format!("niks3/push@v1={}", folder("niks3").display()))
            .current_dir(folder("repository"))
            .env("HOME", folder("home"))
            .env("XDG_CACHE_HOME", folder("cache"))
            .env("XDG_CONFIG_HOME", folder("config"));
        let mut store = Command::new("true");
        self.bench.store.prepare(&mut store);
        let of_nix = store.get_envs().filter_map(|(name, value)| {
            let name = name.to_str()?;
            Some((name.to_owned(), value?.to_str()?.to_owned())).filter(|_| name.starts_with("NIX_"))
        });
        for (name, value) in of_nix.chain(of_job) {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        // No test builds all of us.
        command.args(["--env", "NIKS3_FLAKE=/nowhere"]);
        let server = self.bench.server.url();
        for (name, value) in [("SERVER", server.as_str())].iter().chain(variables) {
            command.arg("--var").arg(format!("{name}={value}"));
        }
        let output = run(&mut command);
        Run {
            code: output.code,
            log: format!("{}{}", output.stdout, output.stderr),
        }
    }

    /// With the program of this build.
    fn run_ours(&self) -> Run {
        let binary = program("niks3-action").display().to_string();
        let run = self.run(&[("BINARY", &binary)]);
        eventually("no daemon is left", || !self.has_processes());
        run
    }

    fn has_processes(&self) -> bool {
        let mark = self.folder.path().to_str().unwrap();
        std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&read("cmdline")).contains("niks3-action")
                && String::from_utf8_lossy(&read("environ")).contains(mark)
        })
    }

    /// The path that the workflow builds.
    fn app(&self) -> String {
        let file = self.folder.path().join("repository/default.nix");
        let built = self
            .bench
            .store
            .nix("nix-build", &["--no-out-link", file.to_str().unwrap()]);
        built.trim().to_owned()
    }
}

#[test]
fn outputs_are_read_by_a_later_step_and_by_a_later_job() {
    let project = Project::new("flush");
    let run = project.run_ours().green();
    let app = project.app();
    assert_eq!(run.printed("step"), format!("hook 1 {app}"));
    let job = run.printed("job");
    let page = format!("{app} {}/dashboard/runs/", project.bench.server.url());
    assert!(job.starts_with(&page) && job.len() > page.len(), "{job}");
    assert!(project.bench.cached(&app));
}

#[test]
fn a_composite_action_passes_on_what_main_says_and_its_job_is_pushed() {
    let project = Project::new("composite");
    let run = project.run_ours().green();
    assert_eq!(run.printed("composite"), "true");
    assert!(project.bench.cached(&project.app()), "{}", run.log);
}

#[test]
fn a_pattern_that_also_matches_a_report_pushes_the_result_with_a_warning() {
    let project = Project::new("glob");
    let run = project.run_ours().green();
    let warnings = run.annotations("warning");
    assert!(
        warnings.len() == 1 && warnings[0].contains("result.xml"),
        "{}",
        run.log
    );
    assert!(project.bench.cached(&project.app()), "{}", run.log);
}

#[test]
fn a_job_without_a_program_is_told_once_what_to_do() {
    let project = Project::new("nobinary");
    for (on_error, level) in [
        ("fail", Some("error")),
        ("warn", Some("warning")),
        ("ignore", None),
    ] {
        let run = project.run(&[("ONERROR", on_error)]);
        assert_eq!(run.code, i32::from(on_error == "fail"), "{}", run.log);
        for each in ["error", "warning", "notice"] {
            let annotations = run.annotations(each);
            let expected = usize::from(level == Some(each));
            assert_eq!(annotations.len(), expected, "{on_error} {each}: {}", run.log);
            assert!(
                annotations.iter().all(|text| text.contains("`binary`")),
                "{}",
                run.log
            );
        }
    }
}

#[test]
fn a_failed_build_gets_no_more_red_annotations_for_what_is_missing() {
    let project = Project::new("pathsfail");
    let run = project.run_ours().red();
    assert!(run.annotations("error").is_empty(), "{}", run.log);
    assert_eq!(project.bench.server.get("pins/release-x"), None);
}

#[test]
fn what_a_step_with_variables_of_its_own_builds_is_pushed_with_a_notice() {
    let project = Project::new("ownenv");
    let run = project.run_ours().green();
    let notices = run.annotations("notice");
    assert!(
        notices.len() == 1 && notices[0].contains("NIX_USER_CONF_FILES"),
        "{}",
        run.log
    );
    assert!(project.bench.cached(&project.app()), "{}", run.log);
}

#[test]
fn a_job_that_gets_no_tokens_is_told_which_permission_it_lacks() {
    let project = Project::new("subst");
    let binary = program("niks3-action").display().to_string();
    // As on a runner that gives out no tokens, and on one whose address for them leads nowhere.
    let nowhere = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:9/token"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x"),
    ];
    let nowhere = nowhere.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for of_job in [Vec::new(), nowhere.to_vec()] {
        let run = project.run_with(&[("BINARY", &binary)], of_job).red();
        let errors = run.annotations("error");
        assert_eq!(errors.len(), 1, "{}", run.log);
        assert!(
            errors[0].contains("`permissions: { id-token: write")
                && errors[0].contains(&project.bench.server.url()),
            "{}",
            run.log
        );
    }
}

#[test]
fn a_job_reads_the_cache_where_the_input_says() {
    let project = Project::new("subst");
    let run = project.run_ours().green();
    let app = project.app();
    assert!(project.bench.cached(&app), "{}", run.log);
    project.bench.store.nix("nix-store", &["--delete", &app]);
    // A runner without a memory: Nix remembers for an hour that the cache did not have the path.
    std::fs::remove_dir_all(project.folder.path().join("cache/nix")).unwrap();
    let again = project.run_ours().green();
    assert!(
        again.log.contains("copying path") && !again.log.contains("building"),
        "{}",
        again.log
    );
}

#[test]
fn what_jobs_read_is_kept_as_long_as_they_read_it() {
    for mode in ["hook", "scan"] {
        let project = Project::new("subst");
        let binary = program("niks3-action").display().to_string();
        let variables = [("BINARY", binary.as_str()), ("MODE", mode)];
        project.run(&variables).green();
        let app = project.app();
        for _ in 0..2 {
            uses::age(&project.bench.server);
            project.bench.store.nix("nix-store", &["--delete", &app]);
            std::fs::remove_dir_all(project.folder.path().join("cache/nix")).unwrap();
            let run = project.run(&variables).green();
            assert!(run.log.contains("copying path"), "{}", run.log);
            uses::collect(&project.bench.server);
            assert!(project.bench.cached(&app), "{mode}: {}", run.log);
        }
    }
}
