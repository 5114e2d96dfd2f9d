//! Where the program comes from, the second action, and what both declare.

use std::{path::Path, process::Command};

use niks3_test_support::{Backend, Github, GithubApi, Use, eventually, run};
use serde_json::json;

use super::bench::{Bench, released};

/// Serves a file under every address.
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
        let files = tempfile::tempdir().unwrap();
        let shim = released(files.path(), expected);
        let inputs = [("binary", ""), ("releases-url", url.as_str())];
        let mut action = bench.action(&inputs).with_shim(shim.clone());
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
fn a_release_that_only_a_proxy_reaches_is_downloaded_once() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/action/proxy.js");
    let folder = tempfile::tempdir().unwrap();
    let output = run(Command::new("node").arg(script).arg(folder.path()));
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn the_second_action_collects_garbage_and_says_what_went() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let path = bench.store.build("build \"x\" \"echo x > $out\"").remove(0);
    let mut push = bench.server.niks3();
    bench.store.prepare(push.args(["push", &path]));
    let _ = run(&mut push).ok();
    let mut action = bench_gc(&bench).with("older-than", "0s").with("force", "true");
    let mut dry = action.clone().with("dry-run", "true");
    eventually("the closure is older than this very second", || {
        bench.job.main(&mut dry).green().count("old-closures-deleted") == 1
    });
    assert!(bench.cached(&path));
    let step = bench.job.main(&mut action).green();
    assert_eq!(step.count("old-closures-deleted"), 1, "{step:#?}");
    assert!(step.count("objects-deleted-after-grace-period") > 0 && step.summary.contains("bytes-freed"));
    assert!(!bench.cached(&path));
    let wrong = bench.job.main(&mut action.with("older-than", "long")).red();
    assert!(wrong.annotations("error")[0].contains("older-than"), "{wrong:#?}");
}

#[test]
fn the_second_action_tells_the_server_which_pull_requests_are_open() {
    let mut bench = Bench::with_token(Backend::Embedded);
    let github = GithubApi::start(|path, _| {
        let body = match path.split('?').next().unwrap_or_default() {
            "/api/v3/repos/o/r" => json!({ "id": 7 }),
            "/api/v3/repos/o/r/pulls" if path.ends_with("&page=1") => {
                json!(
                    (1..=100)
                        .map(|number| json!({ "number": number }))
                        .collect::<Vec<_>>()
                )
            }
            "/api/v3/repos/o/r/pulls" => json!([{ "number": 101 }]),
            _ => return Github::Answers(404, String::new(), "{}".into()),
        };
        Github::Answers(200, String::new(), body.to_string())
    });
    github.serve(&mut bench.job);
    let mut action = bench_gc(&bench).with("github-token", "of-github");
    bench
        .job
        .main(&mut action.clone().with("dry-run", "true"))
        .green();
    assert_eq!(bench.server.sql("SELECT count(*) FROM open_pulls"), ["0"]);
    bench.job.main(&mut action).green();
    let list = bench
        .server
        .sql("SELECT provider, repository, numbers FROM open_pulls");
    let numbers: Vec<String> = (1..=101).map(|number: u32| number.to_string()).collect();
    assert_eq!(list, [format!("github|7|[{}]", numbers.join(","))]);
    // A repository that may not be read is a warning, and the collection goes on.
    let step = bench
        .job
        .main(&mut action.with("repositories", "o/secret"))
        .green();
    assert!(
        step.annotations("warning")[0].contains("pull-requests: read"),
        "{step:#?}"
    );
    assert_eq!(bench.server.sql("SELECT count(*) FROM open_pulls"), ["1"]);
}

fn bench_gc(bench: &Bench) -> Use {
    Use::of("gc", &[("server-url", bench.server.url().as_str())])
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
    let main = bench.job.main(&mut action).green();
    let flush = bench.job.main(&mut Use::of("flush", &[])).green();
    bench.job.post(&mut action).green();
    let gc = bench.job.main(&mut bench_gc(&bench)).green();
    for (file, step) in [
        ("action.yml", main),
        ("action/flush/action.yml", flush),
        ("action/gc/action.yml", gc),
    ] {
        let mut outputs = declared(file, "outputs");
        outputs.sort();
        assert_eq!(step.outputs.into_keys().collect::<Vec<_>>(), outputs, "{file}");
    }
    let inputs = declared("action.yml", "inputs");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/action.md");
    let page = std::fs::read_to_string(page).unwrap();
    for input in inputs
        .iter()
        .filter(|input| !["github-token", "job-status"].contains(&input.as_str()))
    {
        assert!(
            page.contains(&format!("`{input}`")),
            "docs/action.md is silent about {input}"
        );
    }
    assert_eq!(inputs.len(), 28, "{inputs:?}");
}
