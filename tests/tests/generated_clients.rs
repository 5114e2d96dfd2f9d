//! Clients that others' generators make of openapi/niks3.json, as openapi/README.md shows them.

use std::path::{Path, PathBuf};
use std::process::Command;

use niks3_test_support::{Backend, Server, run};
use niks3_tests::api::Api;
use serde_json::json;

/// What Go needs around the lines of openapi/README.md.
const MAIN: &str = r#"package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"example/niks3"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	ctx := context.Background()
LINES
}
"#;

fn openapi(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../openapi")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The block of code in a language, in the section of that title.
fn block(title: &str, language: &str) -> String {
    let text = openapi("README.md");
    let section = text
        .split("\n## ")
        .find(|section| section.starts_with(title))
        .unwrap();
    let start = format!("\n```{language}\n");
    let code = section.split(&start).nth(1).unwrap();
    code.split("\n```").next().unwrap().to_owned() + "\n"
}

fn generators() -> PathBuf {
    std::env::var("NIKS3_TEST_GENERATORS")
        .expect("run scripts/setup, and eval what it prints")
        .into()
}

/// Generates a client as openapi/README.md says and runs the program there, against a server with a run.
async fn round_trip(title: &str, language: &str, file: &str, around: &str) {
    let api = Api::new(Backend::Embedded, &[]);
    let statement = json!({ "provider": "ci", "repository": "o/r", "run_id": "7" });
    api.post("/runs", &statement).await.ok();
    let lines = block(title, language);
    assert!(lines.lines().count() <= 11, "ten lines, more or less: {lines}");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("niks3.json"), openapi("niks3.json")).unwrap();
    std::fs::write(
        folder.path().join(file),
        around.replace("LINES", lines.trim_end()),
    )
    .unwrap();
    let generators = generators();
    std::os::unix::fs::symlink(
        generators.join("ts/node_modules"),
        folder.path().join("node_modules"),
    )
    .unwrap();
    let mut path = std::env::join_paths(
        ["ts/node_modules/.bin", "python/bin", "go/bin"].map(|bin| generators.join(bin)),
    )
    .unwrap();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let output = run(Command::new("sh")
        .args(["-ec", &block(title, "sh")])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("NIKS3_SERVER_URL", api.server.url())
        .env("NIKS3_TOKEN", api.server.token())
        // The folder is in no module and no workspace of Go.
        .env("GOWORK", "off"));
    assert_eq!(output.code, 0, "{output:?}");
    let printed: Vec<&str> = output
        .stdout
        .lines()
        .filter(|line| line.starts_with("run ") || line.starts_with("gc "))
        .collect();
    assert_eq!(printed, ["run o/r 7", "gc done 0"], "{output:?}");
    collected(&api.server);
}

/// The collection that the client started is in the history of the server.
fn collected(server: &Server) {
    let url = format!("{}/api/v1/gc", server.url());
    let header = format!("authorization: Bearer {}", server.token());
    let history = run(Command::new("curl").args(["-fsS", "-H", &header, &url])).ok();
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let runs = history
        .as_object()
        .unwrap()
        .values()
        .find_map(|value| value.as_array())
        .unwrap();
    assert!(
        runs.len() == 1 && runs[0]["state"] == "done" && runs[0]["dry_run"] == true,
        "{history}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_generated_client_in_typescript_lists_runs_and_collects_garbage() {
    round_trip("TypeScript", "ts", "client.ts", "LINES\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_generated_client_in_python_lists_runs_and_collects_garbage() {
    round_trip("Python", "python", "client.py", "LINES\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_generated_client_in_go_lists_runs_and_collects_garbage() {
    round_trip("Go", "go", "main.go", MAIN).await;
}
