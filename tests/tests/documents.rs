//! What the documents say: every command after a `$` works, in the order in which a reader
//! meets it; files shown are read by the programs they are for; links lead somewhere.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use niks3_test_support::{Server, Store, database, garage_bucket, program, run};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn document(name: &str) -> String {
    std::fs::read_to_string(repository().join("docs").join(name)).unwrap()
}

fn documents() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(repository().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.sort();
    names
}

/// The fenced blocks of a document: language, and lines without what they are indented by.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, Vec<String>, usize)> = None;
    for line in text.lines() {
        let fence = line.trim_start();
        match (&mut open, fence.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some((language.to_owned(), Vec::new(), line.len() - fence.len()));
            }
            (Some(_), Some(_)) => {
                let (language, lines, _) = open.take().unwrap();
                blocks.push((language, lines));
            }
            (Some((_, lines, indent)), None) => {
                lines.push(line.get(*indent..).unwrap_or_default().to_owned());
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block that does not end");
    blocks
}

/// What a reader types, a command each.
fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for (_, lines) in blocks(text)
        .into_iter()
        .filter(|(language, _)| language == "console")
    {
        let mut continued = false;
        for line in lines {
            if continued {
                let command = commands.last_mut().unwrap();
                write!(command, "\n{line}").unwrap();
            } else if let Some(command) = line.strip_prefix("$ ") {
                commands.push(command.to_owned());
            } else {
                continue;
            }
            continued = line.ends_with('\\');
        }
    }
    commands
}

/// Before the commands: a server is started as in a terminal of its own.
const PRELUDE: &str = r#"
    set -euo pipefail
    servers=()
    trap 'kill "${servers[@]}" 2>/dev/null || true; wait' EXIT
    niks3-server() {
        local address=(--http-addr "$ADDRESS") log
        [[ " $* " != *" --http-addr "* ]] || address=()
        log=$(mktemp -p "$PWD" server.XXXXXX)
        command niks3-server "$@" "${address[@]}" >"$log" 2>"$log.err" &
        server=$!
        servers+=("$server")
        until grep -q trusted-public-keys "$log"; do
            kill -0 "$server" 2>/dev/null || { cat "$log.err" >&2; return 1; }
            sleep 0.05
        done
        cat "$log"
    }
"#;

/// Something for `nix-build` to build.
const PROJECT: &str = r#"
    derivation {
      name = "hello";
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [ "-c" "echo hello > $out" ];
    }
"#;

fn port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Runs every command of a document, in a folder of its own.
fn works(name: &str) {
    let text = document(name);
    let store = Store::default();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display().to_string();
    let (address, second) = (port(), port());
    let url = format!("http://{address}");
    let bucket = garage_bucket();
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("s3-access-key"), bucket.access_key).unwrap();
    std::fs::write(secrets.join("s3-secret-key"), bucket.secret_key).unwrap();
    std::fs::write(folder.path().join("default.nix"), PROJECT).unwrap();
    // What a reader puts in the place of the names that the documents use.
    let own = [
        ("postgres://niks3@/niks3?host=/run/postgresql", database()),
        ("/var/lib/niks3", format!("{here}/state")),
        ("/var/backups", format!("{here}/backups")),
        ("/run/secrets", format!("{here}/secrets")),
        ("https://s3.example.com", bucket.endpoint.clone()),
        ("--s3-bucket my-cache", format!("--s3-bucket {}", bucket.name)),
        ("https://cache.example.com", url.clone()),
        ("https://niks3.example.com", url),
        ("127.0.0.1:5751", address.clone()),
        ("127.0.0.1:5752", second),
    ];
    let mut script = PRELUDE.to_owned();
    let commands = commands(&text);
    assert!(!commands.is_empty(), "{name} has commands");
    for mut command in commands {
        for (theirs, ours) in &own {
            command = command.replace(theirs, ours);
        }
        if command == "nix build" {
            // The project here is no flake.
            "nix-build".clone_into(&mut command);
        }
        write!(script, "\nprintf '$ %s\\n' {}\n{command}\n", shell_word(&command)).unwrap();
    }
    let programs = program("niks3").parent().unwrap().to_owned();
    let postgres = std::env::var("NIKS3_TEST_PG_BIN").unwrap_or_default();
    let mut shell = Command::new("bash");
    store.prepare(shell.args(["-c", &script]).current_dir(folder.path()));
    let path = format!(
        "{}:{postgres}:{}",
        programs.display(),
        std::env::var("PATH").unwrap()
    );
    shell
        .env("PATH", path)
        .env("ADDRESS", &address)
        .env("NIKS3_STORE_DIR", store.dir());
    let output = run(&mut shell);
    let _ = run(Command::new("chmod").args(["-R", "u+w", &here]));
    assert!(
        output.code == 0,
        "{name}, exit code {}\n{}\n{}",
        output.code,
        output.stdout,
        output.stderr
    );
}

fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

macro_rules! every_command_works {
    ($($test:ident: $document:literal),+ $(,)?) => {
        $(#[test] fn $test() { works($document); })+

        const RUN: &[&str] = &[$($document),+];
    };
}

every_command_works! {
    the_readme: "../README.md",
    a_first_cache: "first-cache.md",
    pushing: "pushing.md",
    reading: "reading.md",
    collecting_garbage: "garbage-collection.md",
    checking_a_cache: "fsck.md",
    production_on_s3_and_postgresql: "production.md",
    backup_and_restore_on_both_databases: "upgrades.md",
    several_servers: "several-servers.md",
    private_caches: "private.md",
    how_long_closures_stay: "retention.md",
    moving_from_another_cache: "moving.md",
    recovering_from_a_loss: "recovery.md",
    what_to_do_when: "troubleshooting.md",
}

#[test]
fn no_document_has_commands_that_are_not_run() {
    for name in documents() {
        let text = document(&name);
        assert!(
            RUN.contains(&name.as_str()) || commands(&text).is_empty(),
            "{name} is not in the list"
        );
        for (language, lines) in blocks(&text) {
            assert!(
                !language.is_empty(),
                "{name}: a block without a language: {lines:?}"
            );
            if language == "sh" {
                // For machines that have these, and here nobody does; the import of another program's database is run by
                // `import.rs`.
                let elsewhere = [
                    "systemctl ",
                    "docker ",
                    "kubectl ",
                    "contrib/compose/secrets.sh",
                    "niks3-server import ",
                    // Never ends.
                    "niks3 watch-store ",
                ];
                for line in lines.iter().filter(|line| !line.starts_with(' ')) {
                    assert!(
                        elsewhere.iter().any(|command| line.starts_with(command)),
                        "{name}: {line}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_files_that_the_documents_show_are_read() {
    let store = Store::default();
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for name in documents() {
        for (language, lines) in blocks(&document(&name)) {
            let text = lines.join("\n");
            let path = folder.path().join("file");
            std::fs::write(&path, &text).unwrap();
            match language.as_str() {
                "json" => {
                    let data = folder.path().join("data");
                    let output = Server::try_start(&[
                        "--data-dir",
                        data.to_str().unwrap(),
                        if name == "retention.md" {
                            "--retention-config"
                        } else {
                            "--oidc-config"
                        },
                        path.to_str().unwrap(),
                        // Named only when the file before it was right.
                        "--priority",
                        "0",
                    ]);
                    assert!(output.stderr.contains("--priority"), "{name}: {}", output.stderr);
                }
                "nix" => {
                    let mut command = Command::new("nix-instantiate");
                    store.prepare(command.arg("--parse").arg(&path));
                    let _ = run(&mut command).ok();
                }
                "yaml" => {
                    let _: serde_json::Value =
                        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
                }
                _ => continue,
            }
            seen += 1;
        }
    }
    assert!(seen > 5);
}

/// The anchors of the headings of a document, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut in_block = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        in_block ^= line.trim_start().starts_with("```");
        let Some(heading) = line.strip_prefix('#').filter(|_| !in_block) else {
            continue;
        };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        anchors.push(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    anchors
}

#[test]
fn the_links_of_the_documents_lead_somewhere() {
    let docs = repository().join("docs");
    let pages = documents().into_iter().map(|name| docs.join(name));
    for page in pages.chain([repository().join("README.md")]) {
        let folder = page.parent().unwrap();
        for link in std::fs::read_to_string(&page).unwrap().split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                page.clone()
            } else {
                folder.join(path)
            };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                let is_there = anchors(&text).iter().any(|known| known == anchor);
                assert!(is_there, "{}: {link}", page.display());
            }
        }
    }
}

#[test]
fn manual_pages_and_completions_know_every_command_and_option() {
    let folder = tempfile::tempdir().unwrap();
    let niks3 = |arguments: &[&str]| run(Command::new(program("niks3")).args(arguments)).ok();
    niks3(&["manual", folder.path().to_str().unwrap()]);
    for page in [
        "niks3",
        "niks3-push",
        "niks3-gc",
        "niks3-pins-create",
        "niks3-hook-serve",
    ] {
        let text = std::fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        for section in ["EXIT STATUS", "ENVIRONMENT", "FILES"] {
            assert!(
                text.contains(&format!(".SH \"{section}\"")) || text.contains(&format!(".SH {section}\n")),
                "{page}: {section}"
            );
        }
    }
    let push = std::fs::read_to_string(folder.path().join("niks3-push.1")).unwrap();
    for part in [
        "skip\\-upstream",
        ".SH EXAMPLES",
        "NIKS3_AUTH_TOKEN_FILE",
        "All of it becomes visible",
    ] {
        assert!(push.contains(part), "{part}: {push}");
    }
    let server = |what: &str| run(Command::new(program("niks3-server")).args(["--generate", what])).ok();
    for part in ["s3\\-bucket", ".SH EXIT STATUS", ".SH FILES"] {
        assert!(server("man").contains(part), "{part}");
    }
    for (shell, of_server) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish")] {
        let text = niks3(&["completions", shell]);
        assert!(
            text.contains("skip-upstream") && text.contains("older-than"),
            "{shell}"
        );
        assert!(server(of_server).contains("s3-bucket"), "{shell}");
    }
    let script = folder.path().join("completions");
    std::fs::write(&script, niks3(&["completions", "bash"]) + &server("bash")).unwrap();
    let _ = run(Command::new("bash").arg("-n").arg(&script)).ok();
}
