//! What is shown, and where: bars on a terminal, lines elsewhere, nothing when that is asked for; and readers who go
//! away.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use niks3_test_support::{
    APP, Backend, Fault, Output, ServerOptions, Site, comes_about, finish, program, run, spawn,
};

/// A site whose leases are renewed often, so that a test knows when time has passed.
async fn site() -> (Site, String) {
    let options = ServerOptions {
        arguments: vec!["--push-lease".into(), "2s".into()],
        ..ServerOptions::default()
    };
    let site = Site::with(Backend::Embedded, options).await;
    site.api.without_small_objects();
    let path = site.store.build(APP).remove(0);
    (site, path)
}

/// The same command on a terminal; what that shows is its standard output.
fn on_terminal(command: &Command) -> Command {
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()));
    let line = words.collect::<Vec<_>>().join(" ");
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script
}

/// Waits for so many more renewals of a lease.
async fn renewals(site: &Site, more: usize) {
    let count = || {
        let requests = site.api.requests();
        requests.iter().filter(|line| line.ends_with("/lease")).count()
    };
    let enough = count() + more;
    comes_about("renewals of the lease", || count() >= enough).await;
}

/// Holds the upload of a NAR for a while.
async fn hold_for_a_while(site: &Site) {
    site.s3.happened().await;
    renewals(site, 2).await;
    site.s3.release();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_on_a_terminal_shows_a_bar_with_bytes_rate_and_time_left() {
    let (site, path) = site().await;
    site.s3.fail("PUT", "/nar/", Fault::Hold, 1);
    let child = spawn(&mut on_terminal(&site.command(&path)));
    hold_for_a_while(&site).await;
    let shown = finish(child).ok();
    for part in [
        "uploading 2 paths",
        "/2 paths",
        "B/s",
        "left",
        "\u{1b}[",
        "2 paths: 2 uploaded",
    ] {
        assert!(shown.contains(part), "{part}: {shown:?}");
    }
    // The result stands alone after it.
    assert!(shown.trim_end().ends_with('}'), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_elsewhere_says_a_line_now_and_then() {
    let (site, path) = site().await;
    site.s3.fail("PUT", "/nar/", Fault::Hold, 1);
    let mut child = spawn(&mut site.command(&path));
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(" %: ") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    site.s3.release();
    stderr.read_to_string(&mut said).unwrap();
    let _ = finish(child).ok();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("uploading 2 paths, "), "{said}");
    assert!(
        lines[1].contains(" of 2 paths, ") && lines[1].contains("/s)"),
        "{said}"
    );
    assert!(said.contains("2 paths: 2 uploaded"), "{said}");
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_path_is_called_one() {
    let (site, _) = site().await;
    let path = site.store.build("build \"one\" \"echo one > $out\"").remove(0);
    let output = run(&mut site.command(&path));
    assert!(output.stderr.contains("uploading 1 path, "), "{output:?}");
    let _ = output.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_quiet_push_shows_nothing_anywhere() {
    let (site, path) = site().await;
    site.api.fail("POST", "/paths", Fault::Status(503), 4);
    let output = run(site.command(&path).arg("--quiet"));
    assert_eq!(output.stderr, "");
    let _ = output.ok();
    let (site, path) = self::site().await;
    site.s3.fail("PUT", "/nar/", Fault::Hold, 1);
    let child = spawn(&mut on_terminal(site.command(&path).arg("--quiet")));
    hold_for_a_while(&site).await;
    let shown = finish(child).ok();
    assert!(
        shown.starts_with('{') && shown.trim_end().ends_with('}'),
        "{shown:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn colours_are_for_terminals_and_not_for_those_who_want_none() {
    let (site, path) = site().await;
    // Those of the log lines: a bar moves the cursor besides.
    let coloured = |shown: &str| shown.contains("\u{1b}[32m");
    for (no_color, expected) in [("", true), ("1", false)] {
        site.api.fail("POST", "/paths", Fault::Status(503), 1);
        let mut command = on_terminal(site.command(&path).arg("-vv"));
        let shown = run(command.env("NO_COLOR", no_color)).ok();
        assert!(shown.contains("trying again"), "{shown}");
        assert_eq!(coloured(&shown), expected, "{shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_line_that_looks_like_every_other_message_tells_of_other_tries() {
    let (site, path) = site().await;
    site.api.fail("POST", "/paths", Fault::Status(503), 5);
    let output = site.push(&path);
    let tries: Vec<&str> = output
        .stderr
        .lines()
        .filter(|line| line.contains("trying again"))
        .collect();
    assert!(
        matches!(tries[..], [line] if line.starts_with("niks3: warning: naming paths: ") && line.contains("for up to 5 min")),
        "{output:?}"
    );
    let _ = output.ok();
}

/// A stream that nobody reads any more.
fn unread() -> Stdio {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    OwnedFd::from(ours).into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_that_cannot_be_written_do_not_end_a_push() {
    let (site, _) = site().await;
    for (number, stderr) in [full, unread].into_iter().enumerate() {
        let path = site
            .store
            .build(&APP.replace("hello", &format!("hello{number}")))
            .remove(0);
        // So often that it is said.
        site.api.fail("POST", "/paths", Fault::Status(503), 4);
        let mut command = site.command(&path);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr())
            .spawn()
            .unwrap();
        let _ = finish(child).ok();
        assert_eq!(site.api.pending(), 0);
        site.whole(&path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_of_the_result_who_has_seen_enough_is_no_failure_and_a_full_disk_is_one() {
    let (site, path) = site().await;
    let _ = run(site.command(&path).args(["--pin", "release"])).ok();
    let ended = |arguments: &[&str], stdout: Stdio| {
        let mut command = site.server.niks3();
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        finish(child)
    };
    for arguments in [
        &["--help"][..],
        &["push", "--help"],
        &["--version"],
        &["completions", "bash"],
        &["pins", "list"],
        &["pins", "list", "--json"],
    ] {
        let output = ended(arguments, unread());
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{arguments:?}");
        let Output { code, stderr, .. } = ended(arguments, full());
        assert!(
            code == 1 && stderr.starts_with("niks3: cannot write to standard output"),
            "{arguments:?}: {code} {stderr}"
        );
    }
}

#[test]
fn the_program_alone_shows_its_help() {
    let shown = run(&mut Command::new(program("niks3"))).ok();
    assert!(
        shown.contains("Usage: niks3") && shown.contains("  push "),
        "{shown}"
    );
    // The whole of what there is to say, in groups, with an example.
    for (arguments, parts) in [
        (
            &["push", "--help"][..],
            ["continues where it stopped", "Server:", "Output:", "Examples:"],
        ),
        (
            &["gc", "--help"],
            [
                "Closures that were neither pushed nor used",
                "Server:",
                "Output:",
                "Examples:",
            ],
        ),
        (
            &["pins", "create", "--help"],
            [
                "can be read without the server",
                "Server:",
                "Output:",
                "Examples:",
            ],
        ),
        (
            &["hook", "serve", "--help"],
            ["The queue is a directory", "Server:", "Output:", "--idle-exit"],
        ),
    ] {
        let shown = run(Command::new(program("niks3")).args(arguments)).ok();
        // Wherever lines are broken.
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts {
            assert!(shown.contains(part), "{arguments:?}: {part}: {shown}");
        }
    }
    let wrong = run(Command::new(program("niks3")).args(["pins", "create", "--frobnicate"])).fails(2);
    assert!(wrong.contains("see `niks3 pins create --help`"), "{wrong}");
    let shown = run(Command::new(program("niks3")).arg("pins")).ok();
    assert!(shown.contains("Usage: niks3 pins"), "{shown}");
}

#[test]
fn help_and_errors_show_no_password() {
    let secret = "https://user:secret@cache.example.com";
    let mut help = Command::new(program("niks3"));
    let output = run(help
        .args(["push", "--help"])
        .env("NIKS3_SERVER_URL", secret)
        .env("NIKS3_AUTH_TOKEN_SCRIPT", "echo secret"));
    assert!(!output.ok().contains("secret"));
    for url in [
        "ftp://user:secret@cache.example.com",
        "https://user:secret/secret@cache.example.com",
        "ftp://user:secret secret@cache.example.com",
    ] {
        let mut wrong = Command::new(program("niks3"));
        let said = run(wrong.args(["push", "x"]).env("NIKS3_SERVER_URL", url)).fails(2);
        assert!(
            said.contains("://cache.example.com") && !said.contains("secret"),
            "{said}"
        );
        let mut wrong = Command::new(program("niks3"));
        let said = run(wrong.args(["push", "x", "--skip-upstream", url])).fails(2);
        assert!(!said.contains("secret"), "{said}");
    }
    let mut wrong = Command::new(program("niks3"));
    let said = run(wrong.args(["push", "x", "--server-url", "user:secret@cache.example.com"])).fails(2);
    assert!(
        said.contains("cache.example.com") && !said.contains("secret"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_uploads_than_allowed_are_under_way_at_once() {
    let (site, _) = site().await;
    let many: String = (0..8)
        .map(|number| format!("(build \"p{number}\" \"echo {number} > $out\") "))
        .collect();
    let paths = site.store.build(&format!("[ {many} ]"));
    for part in ["/nar/", "/staging/"] {
        site.s3.fail("PUT", part, Fault::Hold, usize::MAX / 4);
    }
    let mut command = site.command(&paths[0]);
    command.args(&paths[1..]).args(["--max-concurrent-uploads", "2"]);
    let child = spawn(&mut command);
    let puts = || {
        let requests = site.s3.requests();
        let put = |line: &&String| line.starts_with("PUT ") && !line.contains("/api/");
        requests.iter().filter(put).count()
    };
    comes_about("two uploads", || puts() >= 2).await;
    // Everything is packed long before so many renewals.
    renewals(&site, 3).await;
    assert_eq!(puts(), 2, "while two hang, no other begins");
    site.s3.heal();
    site.s3.release();
    let _ = finish(child).ok();
    for path in &paths {
        site.whole(path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_higher_level_of_compression_makes_less_of_the_same() {
    let size = async |level: &str| {
        let (site, _) = site().await;
        let path = site
            .store
            .build("build \"numbers\" \"seq 1 60000 > $out\"")
            .remove(0);
        let _ = run(site.command(&path).args(["--compression-level", level])).ok();
        site.whole(&path);
        let name = path.rsplit('/').next().unwrap();
        let narinfo =
            String::from_utf8(site.server.get(&format!("{}.narinfo", &name[..32])).unwrap()).unwrap();
        let size = narinfo.lines().find_map(|line| line.strip_prefix("FileSize: "));
        size.unwrap().parse::<u64>().unwrap()
    };
    let (fast, small) = (size("1").await, size("19").await);
    assert!(small < fast, "{small} {fast}");
}
