//! The checker shares no code with what it checks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const CHECKER: &str = "niks3-check-bucket";

#[test]
fn the_checker_depends_on_no_crate_of_niks3() {
    let version = Command::new(env!("CARGO")).arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let output = Command::new(env!("CARGO"))
        // What other platforms need has not been downloaded.
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--filter-platform",
            host,
        ])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let own: BTreeSet<&str> = packages
        .iter()
        // Those of the workspace come from no registry.
        .filter(|package| package["source"].is_null())
        .map(|package| package["id"].as_str().unwrap())
        .collect();
    let checker = packages
        .iter()
        .find(|package| package["name"] == CHECKER)
        .unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let mut seen = BTreeSet::new();
    let mut queue = vec![checker["id"].as_str().unwrap()];
    while let Some(id) = queue.pop() {
        if seen.insert(id) {
            let node = nodes.iter().find(|node| node["id"] == id).unwrap();
            queue.extend(
                node["deps"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|dep| dep["pkg"].as_str().unwrap()),
            );
        }
    }
    // It has found its way through the dependencies.
    assert!(seen.len() > 50, "{seen:?}");
    let shared: Vec<_> = seen.intersection(&own).collect();
    assert_eq!(
        shared,
        [checker["id"].as_str().unwrap()].iter().collect::<Vec<_>>()
    );
}
