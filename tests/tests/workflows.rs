//! Workflows and actions, as GitHub's own schemas and actionlint read them.

use std::path::{Path, PathBuf};
use std::process::Command;

use niks3_test_support::run;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn generators() -> PathBuf {
    std::env::var("NIKS3_TEST_GENERATORS")
        .expect("run scripts/setup, and eval what it prints")
        .into()
}

fn actionlint(folder: &Path, files: &[PathBuf]) {
    let output = run(Command::new(generators().join("go/bin/actionlint"))
        // Nothing of this machine changes what is found.
        .args(["-shellcheck=", "-pyflakes="])
        .args(files)
        .current_dir(folder));
    assert_eq!(output.code, 0, "{output:?}");
}

fn fits(schema: &str, files: &[PathBuf]) -> bool {
    let output = run(Command::new(generators().join("python/bin/check-jsonschema"))
        .args(["--builtin-schema", schema])
        .args(files));
    output.code == 0
}

fn workflows() -> Vec<PathBuf> {
    let folder = root().join(".github/workflows");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn our_workflows_are_what_github_and_actionlint_expect() {
    let files = workflows();
    assert!(files.len() >= 4, "{files:?}");
    actionlint(&root(), &files);
    assert!(fits("vendor.github-workflows", &files));
}

#[test]
fn all_actions_fit_the_schema_and_a_wrong_one_does_not() {
    for action in ["action.yml", "action/flush/action.yml", "action/gc/action.yml"] {
        assert!(fits("vendor.github-actions", &[root().join(action)]), "{action}");
    }
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("action.yml");
    let text = std::fs::read_to_string(root().join("action.yml")).unwrap();
    std::fs::write(&wrong, text.replace("using: node24", "using: node")).unwrap();
    assert!(!fits("vendor.github-actions", &[wrong]));
}

#[test]
fn the_workflows_that_the_documents_show_are_workflows() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join(".github/workflows");
    std::fs::create_dir_all(&directory).unwrap();
    let text = std::fs::read_to_string(root().join("docs/action.md")).unwrap();
    let shown: Vec<PathBuf> = text
        .split("\n```yaml\n")
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap())
        .filter(|block| block.contains("\njobs:"))
        .enumerate()
        .map(|(number, block)| {
            let file = directory.join(format!("{number}.yml"));
            std::fs::write(&file, format!("{block}\n")).unwrap();
            file
        })
        .collect();
    assert!(
        shown.len() >= 4,
        "push on build, matrix, fork-safe pull request, collection, release"
    );
    actionlint(folder.path(), &shown);
    assert!(fits("vendor.github-workflows", &shown));
}

#[test]
fn our_workflows_give_no_more_than_they_need_to_actions_that_cannot_change() {
    for file in workflows() {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut steps = text.split("\n      - ").skip(1);
        for uses in text.lines().filter_map(|line| line.split_once("uses: ")) {
            if uses.1.starts_with("niks3/push") {
                // The release that has just been published, as a user has it.
                continue;
            }
            let Some((_, revision)) = uses.1.split_once('@') else {
                assert!(uses.1.starts_with("./"), "{file:?}: {uses:?}");
                continue;
            };
            let (sha, version) = revision.split_once(" # v").unwrap_or((revision, ""));
            let is_sha = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(
                is_sha && !version.is_empty(),
                "{file:?}: a commit, and its version: {uses:?}"
            );
        }
        assert!(
            steps.all(
                |step| !step.contains("actions/checkout@") || step.contains("persist-credentials: false")
            ),
            "{file:?}: a token is left in .git/config"
        );
        let jobs = text.matches("\n    runs-on: ").count();
        assert_eq!(text.matches("\n    timeout-minutes: ").count(), jobs, "{file:?}");
        let top = format!("{}\n", text.split("\njobs:").next().unwrap());
        assert!(
            top.contains("\npermissions: {}\n") || top.contains("\npermissions:\n  contents: read\n"),
            "{file:?}"
        );
        assert!(!top.contains("write"), "{file:?}: only jobs get rights to write");
    }
}

#[test]
fn every_release_runs_its_own_program() {
    let output = run(&mut Command::new(root().join("scripts/rehearse-release")));
    assert_eq!(output.code, 0, "{output:?}");
}
