//! Small file systems of a test's own.

use std::process::Command;

use crate::process::run;

/// Whether this process may mount what it wants, and nobody else sees it. If not, the test of that
/// name, with its modules, has run in one that may, whoever runs this one.
#[must_use]
pub fn with_own_mounts(test: &str) -> bool {
    const INSIDE: &str = "NIKS3_TEST_OWN_MOUNTS";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if run(Command::new("id").arg("-u")).stdout.trim() != "0" {
        command.arg("--map-root-user");
    }
    let program = std::env::current_exe().unwrap();
    let said = run(command.arg(program).args(["--exact", test]).env(INSIDE, "1")).ok();
    assert!(said.contains("1 passed"), "{said}");
    false
}
