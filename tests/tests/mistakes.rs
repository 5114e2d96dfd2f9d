//! What people type wrong and what they are told: the commands of `mistakes.txt`, run again, have the answers that stand
//! there. A line of a title is `## …`, of a command `$ …`; `rc=` is its exit code, `out|` and `err|` are what it prints.
//!
//! `NIKS3_UPDATE=1` writes the answers anew, to be read in the diff. `NIKS3_TEST_TIMES=FILE` gets the seconds of each command.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use niks3_test_support::{
    Backend, Output, Server, ServerOptions, Store, WebServer, database, garage_bucket, program, run,
};

fn transcript() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes.txt")
}

/// A command with its answer, as the file has them.
struct Entry {
    title: String,
    command: String,
    answer: String,
}

fn entries(text: &str) -> Vec<Entry> {
    let texts = text.split("\n## ").skip(1);
    texts
        .map(|entry| {
            let (title, rest) = entry.split_once('\n').unwrap();
            let (command, answer) = rest.split_once('\n').unwrap_or((rest, ""));
            Entry {
                title: title.to_owned(),
                command: command.strip_prefix("$ ").expect("a command").to_owned(),
                answer: answer.trim().to_owned(),
            }
        })
        .collect()
}

/// Where the commands run: what their variables stand for, and what of their answers is the same each time.
struct Scene {
    folder: tempfile::TempDir,
    store: Store,
    variables: Vec<(&'static str, String)>,
    _servers: Vec<Server>,
    _web: WebServer,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Other users have to get to what is in it.
        let _ = run(Command::new("chmod").args(["755", folder.path().to_str().unwrap()])).ok();
        let store = Store::default();
        let path = store
            .build("build \"acme-docs-1\" \"echo docs > $out\"")
            .remove(0);
        let server = Server::start(Backend::Embedded, &store.dir());
        let tls = tls_server(folder.path(), &store);
        let web = WebServer::start(|_| (404, "<html>nothing</html>".to_owned()));
        let bucket = garage_bucket();
        files(folder.path(), &server);
        fs::write(folder.path().join("access-key"), bucket.access_key).unwrap();
        fs::write(folder.path().join("secret-key"), bucket.secret_key).unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = closed.local_addr().unwrap().to_string();
        let programs = program("niks3").parent().unwrap().display().to_string();
        let tls_url = tls.url().replace("http://127.0.0.1", "https://localhost");
        let variables = vec![
            ("path", path),
            ("store", store.dir().display().to_string()),
            ("server", server.directory().display().to_string()),
            ("url", server.url()),
            ("tls", tls_url),
            ("other", web.url()),
            ("closed", closed),
            ("db", database()),
            ("s3", bucket.endpoint),
            ("bucket", bucket.name),
            (
                "keys",
                "--s3-access-key-path access-key --s3-secret-key-path secret-key".to_owned(),
            ),
            ("programs", programs),
        ];
        Self {
            folder,
            store,
            variables,
            _servers: vec![server, tls],
            _web: web,
        }
    }

    /// Runs a command as somebody who has typed it.
    fn run(&self, line: &str) -> Output {
        let mut shell = Command::new("timeout");
        self.store.prepare(
            shell
                .args(["25", "bash", "-c", line])
                .current_dir(self.folder.path()),
        );
        let value = |name: &str| {
            let mut variables = self.variables.iter();
            &variables.find(|(known, _)| *known == name).unwrap().1
        };
        let path = format!("{}:{}", value("programs"), std::env::var("PATH").unwrap());
        shell
            .env("PATH", path)
            .env("NIKS3_AUTH_TOKEN_FILE", format!("{}/api-token", value("server")));
        // A server ignores the address that is meant for clients, and says so.
        if !line.contains("niks3-server") {
            shell.env("NIKS3_SERVER_URL", value("url"));
        }
        for name in [
            "CI",
            "RUST_LOG",
            "NIKS3_LOG",
            "NIX_SSL_CERT_FILE",
            "SSL_CERT_FILE",
        ] {
            shell.env_remove(name);
        }
        run(shell.envs(self.variables.iter().map(|(name, value)| (name, value))))
    }

    /// What does not change from run to run.
    fn lasting(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let home = self.store.path("home").display().to_string();
        let mut known: Vec<(String, String)> = vec![(folder, "$W".to_owned()), (home, "$HOME".to_owned())];
        for (name, value) in &self.variables {
            known.push((value.clone(), format!("${name}")));
            if let Some((_, address)) = value.split_once("://") {
                known.push((address.to_owned(), format!("${{{name}#*://}}")));
            }
        }
        known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        let mut text = text.to_owned();
        for (value, name) in known {
            text = text.replace(&value, &name);
        }
        let lines = text.lines().map(lasting_line);
        lines.collect::<Vec<_>>().join("\n")
    }

    fn answer(&self, line: &str) -> (String, f64) {
        let started = Instant::now();
        let output = self.run(line);
        let seconds = started.elapsed().as_secs_f64();
        let mut answer = format!("rc={}", output.code);
        for (mark, text) in [("out|", &output.stdout), ("err|", &output.stderr)] {
            for line in self.lasting(text).lines() {
                write!(answer, "\n{mark} {line}").unwrap();
            }
        }
        (answer, seconds)
    }
}

/// A server whose certificate nobody has signed whom this machine trusts.
fn tls_server(folder: &Path, store: &Store) -> Server {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    fs::write(&cert, certified.cert.pem()).unwrap();
    fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let argument = |path: &Path| path.display().to_string();
    let arguments = vec![
        "--tls-cert".into(),
        argument(&cert),
        "--tls-key".into(),
        argument(&key),
    ];
    let options = ServerOptions {
        store_dir: Some(store.dir()),
        arguments,
        ..ServerOptions::default()
    };
    Server::with(Backend::Embedded, options)
}

/// What the commands name.
fn files(folder: &Path, server: &Server) {
    let token = |name: &str, more: &[&str]| {
        let mut command = server.niks3();
        run(command.args(["tokens", "create", name, "--scope"]).args(more)).ok()
    };
    let expired = token("expired", &["push", "--expires", "1s"]);
    let reader = token("reader", &["read"]);
    let provider = |text: &str| format!("{{\"providers\":{{\"github\":{{{text}}}}}}}");
    for (name, text) in [
        ("short", "short\n"),
        ("wrong", "0000000000000000000000000000000000000001\n"),
        ("empty", ""),
        ("lines", "a\nb\n"),
        ("expired", &expired),
        ("reader", &reader),
        ("file", "x\n"),
        ("key", "key\n"),
        ("key2", "cache-1:AAAA\n"),
        ("pub", "k-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"),
        ("ak", "GK00000000000000000000dead\n"),
        ("sk", "hunter2hunter2hunter2\n"),
        (
            "oidc1",
            &provider("\"issuer\":\"http://x.example\",\"audience\":\"a\",\"rules\":[]"),
        ),
        (
            "oidc2",
            &provider("\"issuer\":\"https://x.example\",\"audiense\":\"a\",\"rules\":[]"),
        ),
        ("oidc3", "{\n"),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let nobody = folder.join("nobody");
    fs::create_dir(&nobody).unwrap();
    let _ = run(Command::new("chmod").args(["777", nobody.to_str().unwrap()])).ok();
    // The token that ends after a second has ended.
    std::thread::sleep(std::time::Duration::from_millis(1100));
}

/// A line without times, names of requests, and ports that the system has chosen.
fn lasting_line(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let is_time = word.len() > 20 && word.ends_with('Z') && word.as_bytes()[4] == b'-';
        let is_id = |prefix: &str| word.starts_with(prefix) && word.ends_with('"');
        let after = |prefix: &str| word.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        let is_port = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
        if is_time {
            "TIME".to_owned()
        } else if after("http://127.0.0.1:").is_some_and(is_port) {
            "http://127.0.0.1:PORT".to_owned()
        } else if word.len() == 17 && word[..16].bytes().all(|byte| byte.is_ascii_hexdigit()) {
            "ID)".to_owned()
        } else if is_id("database=\"") || is_id("bucket=\"") {
            word.split_once('"').unwrap().0.to_owned() + "ID"
        } else if let Some((_, scope)) = word.split_once('/').filter(|_| word.starts_with("'20")) {
            format!("'DATE/{scope}")
        } else if word.starts_with("niks3-") && word.contains(":") && word.ends_with('=') {
            "PUBLIC-KEY".to_owned()
        } else {
            word.to_owned()
        }
    });
    let line = words.collect::<Vec<_>>().join(" ");
    match line.rsplit_once(" in ") {
        Some((before, seconds)) if seconds.ends_with(" s") => format!("{before} in SECONDS"),
        _ => {
            let expired = line.split_once(" has expired, ");
            expired.map_or_else(
                || line.clone(),
                |(before, rest)| {
                    let after = rest.split_once(" ago").map_or(rest, |(_, after)| after);
                    format!("{before} has expired, SECONDS ago{after}")
                },
            )
        }
    }
}

/// What STYLE demands of every message.
fn is_in_style(answer: &str) -> Result<(), &'static str> {
    for inside in [
        "(os error ",
        "panicked",
        "Error {",
        "Error(",
        "Some(",
        "  tip: ",
        "stack backtrace",
    ] {
        if answer.contains(inside) {
            return Err("shows what is inside of the program");
        }
    }
    let (code, lines) = answer.split_once('\n').unwrap_or((answer, ""));
    let said: Vec<&str> = lines
        .lines()
        .filter_map(|line| line.strip_prefix("err| "))
        .collect();
    if code == "rc=124" {
        return Err("does not end");
    }
    if code != "rc=0" {
        let last = said.last().copied().unwrap_or_default();
        if !last.starts_with("niks3: ") && !last.starts_with("niks3-server: ") {
            return Err("ends without a message that names the program");
        }
        if said.len() > 3 {
            return Err("says more than three lines");
        }
    }
    Ok(())
}

#[test]
fn whoever_types_something_wrong_is_told_what_and_what_to_do() {
    let text = fs::read_to_string(transcript()).unwrap();
    let head = text.split("\n## ").next().unwrap();
    let scene = Scene::new();
    let (mut now, mut times, mut wrong) = (format!("{}\n", head.trim_end()), String::new(), String::new());
    for Entry {
        title,
        command,
        answer,
    } in entries(&text)
    {
        let (said, seconds) = scene.answer(&command);
        write!(now, "\n## {title}\n$ {command}\n{said}\n").unwrap();
        writeln!(times, "{seconds:5.1} s  {title}").unwrap();
        if let Err(why) = is_in_style(&said) {
            write!(wrong, "\n{title}: {why}\n$ {command}\n{said}\n").unwrap();
        } else if said != answer {
            write!(wrong, "\n{title}\n$ {command}\n{said}\nand not\n{answer}\n").unwrap();
        }
    }
    if let Some(file) = std::env::var_os("NIKS3_TEST_TIMES") {
        fs::write(file, times).unwrap();
    }
    if std::env::var_os("NIKS3_UPDATE").is_some() {
        fs::write(transcript(), now).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{wrong}");
}
