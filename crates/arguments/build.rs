//! Says which version the programs are: that of the release, or of the commit that an optimised build is made from.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=NIKS3_BUILD_VERSION");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let given = std::env::var("NIKS3_BUILD_VERSION")
        .ok()
        .filter(|given| !given.is_empty());
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = || is_release.then(commit).flatten();
    let shown = given
        .or_else(|| commit().map(|commit| format!("{version} ({commit})")))
        .unwrap_or(version);
    println!("cargo::rustc-env=NIKS3_VERSION={shown}");
}

/// Short name and date of the commit, if this is a checkout.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // Where this crate is packed into another repository, its commits say nothing of it.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    println!(
        "cargo::rerun-if-changed={}",
        git(&["rev-parse", "--git-path", "logs/HEAD"])?
    );
    git(&["log", "-1", "--format=%h %cs", "--abbrev=12"])
}
