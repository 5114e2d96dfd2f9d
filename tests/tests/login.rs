//! `niks3 login`: servers under names, and tokens that go to the server they are of and to nobody else.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use niks3_test_support::{Backend, Output, Server, finish, program, run};

/// A user with a home of their own.
struct User {
    home: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join(".config/niks3")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("niks3"));
        command
            .args(arguments)
            .env("HOME", self.home.path())
            .stdin(Stdio::null());
        for name in [
            "XDG_CONFIG_HOME",
            "NIKS3_SERVER_URL",
            "NIKS3_AUTH_TOKEN_FILE",
            "CI",
        ] {
            command.env_remove(name);
        }
        command
    }

    fn niks3(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    /// `niks3 login` with a token on standard input.
    fn login(&self, arguments: &[&str], token: &str) -> Output {
        let mut command = self.command(&[&["login"], arguments].concat());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that refuses its arguments does not read it.
        let _ = child.stdin.take().unwrap().write_all(token.as_bytes());
        finish(child)
    }
}

fn server() -> Server {
    Server::start(Backend::Embedded, Path::new("/nix/store"))
}

/// Somebody who answers with one text, and keeps what was asked.
fn listener(answer: String) -> (String, Arc<Mutex<String>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::<Mutex<String>>::default();
    let hears = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 65536];
            let length = stream.read(&mut bytes).unwrap_or(0);
            hears
                .lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&bytes[..length]));
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, heard)
}

fn refusing() -> (String, Arc<Mutex<String>>) {
    listener("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned())
}

#[test]
fn who_has_logged_in_needs_neither_an_address_nor_a_token() {
    let (work, home, user) = (server(), server(), User::new());
    let said = user.login(&["work", &work.url()], &work.token());
    assert!(
        said.stderr.contains("logged in to work at http://127.0.0.1:"),
        "{said:?}"
    );
    let _ = said.ok();
    let token_file = home.token_path().display().to_string();
    let _ = user
        .niks3(&["login", "home", &home.url(), "--token-file", &token_file])
        .ok();

    let who = user.niks3(&["whoami"]).ok();
    assert!(who.contains("scopes: "), "{who}");
    let listed = user.niks3(&["servers"]).ok();
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["NAME", "URL", "TOKEN", "DEFAULT"]);
    assert_eq!(lines[1], ["home", &home.url(), "stored"]);
    assert_eq!(lines[2], ["work", &work.url(), "stored", "yes"]);
    let json = user.niks3(&["servers", "--json"]).json();
    assert_eq!(json[0]["name"], "home");
    assert_eq!(json[0]["token"], true);
    assert!(!json.to_string().contains(&home.token()));

    // Both work by name, and the other one becomes the default.
    let _ = user.niks3(&["whoami", "--server", "home"]).ok();
    let _ = user
        .login(&["home", &home.url(), "--default"], &home.token())
        .ok();
    assert_eq!(user.niks3(&["servers", "--json"]).json()[0]["default"], true);
    let _ = user.niks3(&["logout", "home"]).ok();
    assert!(!user.folder().join("tokens/home").exists());
    let none = user.niks3(&["whoami", "--server", "home"]).fails(2);
    assert!(none.contains("\"home\"") && none.contains("work"), "{none}");
    // Nothing is the default now.
    let none = user.niks3(&["whoami"]).fails(2);
    assert!(
        none.contains("niks3 login") && none.contains("--server"),
        "{none}"
    );
}

#[test]
fn what_login_stores_is_for_its_owner_alone_and_refused_when_others_can_read_it() {
    let (server, user) = (server(), User::new());
    let _ = user.login(&["work", &server.url()], &server.token()).ok();
    let folder = user.folder();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for (path, expected) in [
        ("", 0o700),
        ("config.toml", 0o600),
        ("tokens", 0o700),
        ("tokens/work", 0o600),
    ] {
        assert_eq!(mode(&folder.join(path)), expected, "{path}");
    }
    for (path, right, wrong) in [("tokens/work", 0o600, 0o644), ("tokens", 0o700, 0o750)] {
        let path = folder.join(path);
        fs::set_permissions(&path, Permissions::from_mode(wrong)).unwrap();
        let said = user.niks3(&["whoami"]).fails(1);
        assert!(
            said.contains("others can read")
                && said.contains(path.to_str().unwrap())
                && said.contains("chmod"),
            "{said}"
        );
        fs::set_permissions(&path, Permissions::from_mode(right)).unwrap();
        let _ = user.niks3(&["whoami"]).ok();
    }
}

#[test]
fn a_token_goes_to_the_server_it_is_of_and_to_nobody_else() {
    let (server, user) = (server(), User::new());
    let token = server.token();
    let _ = user.login(&["work", &server.url()], &token).ok();
    // The same address without its name gets it.
    let _ = user.niks3(&["whoami", "--server-url", &server.url()]).ok();
    let (other, heard) = refusing();
    let (redirecting, heard_before) = listener(format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {other}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    ));
    for url in [other.clone(), format!("{}/path", server.url())] {
        let said = user.niks3(&["whoami", "--server-url", &url]).fails(1);
        assert!(said.contains("no token"), "{url}: {said}");
    }
    // A file that is for any server does not count any more.
    fs::write(user.folder().join("auth-token"), &token).unwrap();
    let said = user.niks3(&["whoami", "--server-url", &other]).fails(1);
    assert!(said.contains("no token"), "{said}");
    // Across a redirect nothing is sent.
    let said = user.login(&["other", &redirecting], &token).fails(1);
    assert!(said.contains("redirects to"), "{said}");
    assert!(heard_before.lock().unwrap().contains(&token), "it was asked");
    assert!(!heard.lock().unwrap().contains(&token), "{heard:?}");
    assert_eq!(
        user.niks3(&["servers", "--json"])
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn the_old_token_file_counts_while_no_server_is_stored() {
    let (server, user) = (server(), User::new());
    fs::create_dir_all(user.folder()).unwrap();
    fs::write(user.folder().join("auth-token"), server.token()).unwrap();
    let _ = user.niks3(&["whoami", "--server-url", &server.url()]).ok();
}

#[test]
fn a_server_that_does_not_accept_the_login_is_not_stored() {
    let (server, user) = (server(), User::new());
    let refused = user
        .login(
            &["work", &server.url()],
            "a-wrong-token-a-wrong-token-a-wrong-token",
        )
        .fails(1);
    assert!(
        refused.contains("token") && !refused.contains("a-wrong"),
        "{refused}"
    );
    let (other, _) = refusing();
    let none = user.login(&["work", &other], "t").fails(1);
    assert!(none.contains("does not answer like a niks3 server"), "{none}");
    for (arguments, words) in [
        (&["a/b", "https://cache.example.com"][..], "a name has"),
        (&["work", "cache.example.com"], "https://"),
        (&["work", "https://user:secret@cache.example.com"], "no password"),
        (&["work", "http://cache.example.com"], "--insecure-http"),
        (&["work", "http://10.0.0.1:5751"], "--insecure-http"),
    ] {
        let said = user.login(arguments, "token").fails(2);
        assert!(said.contains(words) && !said.contains("secret"), "{said}");
    }
    let empty = user.login(&["work", &server.url()], "\n").fails(2);
    assert!(empty.contains("--token-file"), "{empty}");
    assert!(!user.folder().join("config.toml").exists());
    let _ = user.niks3(&["login", "open", &server.url(), "--no-token"]).ok();
    assert_eq!(user.niks3(&["servers", "--json"]).json()[0]["token"], false);
}
