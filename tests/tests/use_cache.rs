//! `niks3 use`: Nix reads a cache after it, and no longer after `--remove`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use niks3_test_support::{Backend, Output, Server, ServerOptions, Store, program, run};

fn niks3(store: &Store, arguments: &[&str]) -> Output {
    let mut command = Command::new(program("niks3"));
    store.prepare(command.args(arguments));
    for name in ["NIKS3_SERVER_URL", "NIKS3_AUTH_TOKEN_FILE"] {
        command.env_remove(name);
    }
    run(&mut command)
}

/// Whether Nix gets a path out of the caches that it knows; it is not in the store before.
fn realises(store: &Store, path: &str) -> bool {
    let mut delete = Command::new("nix-store");
    store.prepare(delete.args(["--delete", path]));
    let _ = run(&mut delete);
    let mut realise = Command::new("nix-store");
    store.prepare(realise.args(["--option", "narinfo-cache-negative-ttl", "0", "--realise", path]));
    run(&mut realise).code == 0
}

fn pushed(store: &Store, server: &Server) -> String {
    let path = store.build("build \"used\" \"echo used > $out\"").remove(0);
    let mut push = server.niks3();
    store.prepare(push.args(["push", &path]));
    let _ = run(&mut push).ok();
    path
}

#[test]
fn nix_reads_a_cache_that_is_used_and_no_longer_one_that_is_removed() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let path = pushed(&store, &server);
    let (url, key) = (server.url(), server.public_key().to_owned());
    assert!(!realises(&store, &path), "nobody has told Nix");
    // Nobody is there to be asked.
    let asked = niks3(&store, &["use", &url]).fails(2);
    assert!(asked.contains(&format!("--public-key {key}")), "{asked}");
    let wrong = niks3(&store, &["use", &url, "--public-key", "other-1:AAAA"]).fails(1);
    assert!(wrong.contains(&key), "{wrong}");
    let conf = store.path("home/config/nix/nix.conf");
    assert!(!conf.exists());
    fs::create_dir_all(conf.parent().unwrap()).unwrap();
    fs::write(&conf, "# Mine.\nmax-jobs = 1\n").unwrap();
    for _ in 0..2 {
        let _ = niks3(&store, &["use", &url, "--public-key", &key]).ok();
    }
    let text = fs::read_to_string(&conf).unwrap();
    assert_eq!(text.matches("extra-substituters").count(), 1, "{text}");
    assert!(realises(&store, &path), "{text}");
    let printed = niks3(&store, &["use", &url, "--print"]).ok();
    for part in [
        format!("extra-substituters = {url}"),
        format!("extra-trusted-public-keys = {key}"),
        "nix.settings".to_owned(),
    ] {
        assert!(printed.contains(&part), "{printed}");
    }
    let _ = niks3(&store, &["use", &url, "--remove"]).ok();
    assert_eq!(fs::read_to_string(&conf).unwrap(), "# Mine.\nmax-jobs = 1\n");
    assert!(!realises(&store, &path));
}

#[test]
fn the_doctor_names_each_problem_and_its_remedy() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let path = pushed(&store, &server);
    let (url, key) = (server.url(), server.public_key().to_owned());
    let base = path.rsplit('/').next().unwrap();
    let doctor = || niks3(&store, &["doctor", "--server-url", &url]);
    let sick = doctor();
    assert_eq!(sick.code, 1, "{sick:?}");
    assert!(sick.stderr.contains("2 problems"), "{sick:?}");
    for part in [
        "ok       server: ".to_owned(),
        "skipped  token: ".to_owned(),
        format!("problem  substituter: Nix does not read {url}"),
        format!("problem  public key: Nix does not trust {key}"),
        "to fix: niks3 use".to_owned(),
    ] {
        assert!(sick.stdout.contains(&part), "{part}: {sick:?}");
    }
    let _ = niks3(&store, &["use", &url, "--public-key", &key]).ok();
    let token = server.token_path().display().to_string();
    let well = niks3(
        &store,
        &["doctor", "--server-url", &url, "--auth-token-path", &token],
    )
    .ok();
    for part in [
        "ok       token: ",
        "scopes",
        "ok       clock: ",
        &format!("ok       signature: {base}"),
    ] {
        assert!(well.contains(part), "{part}: {well}");
    }
    let nobody = niks3(&store, &["doctor", "--server-url", "http://nowhere.invalid"]);
    assert!(
        nobody.code == 1 && nobody.stdout.contains("problem  server: "),
        "{nobody:?}"
    );
}

#[test]
fn a_private_cache_gets_a_token_that_can_only_read() {
    let store = Store::default();
    let options = ServerOptions {
        store_dir: Some(store.dir()),
        arguments: vec!["--protect-reads=true".into()],
        ..ServerOptions::default()
    };
    let server = Server::with(Backend::Embedded, options);
    let path = pushed(&store, &server);
    let (url, key) = (server.url(), server.public_key().to_owned());
    let token = |name: &str, scope: &str| {
        let token = run(server.niks3().args(["tokens", "create", name, "--scope", scope])).ok();
        let file = store.path(name);
        fs::write(&file, token).unwrap();
        file.display().to_string()
    };
    let (read, more) = (token("reader", "read"), token("writer", "read,push"));
    let none = niks3(&store, &["use", &url, "--public-key", &key]).fails(2);
    assert!(none.contains("--token-file"), "{none}");
    let refused = niks3(
        &store,
        &["use", &url, "--public-key", &key, "--token-file", &more],
    )
    .fails(1);
    assert!(refused.contains("no scope but `read`"), "{refused}");
    let netrc = store.path("home/config/nix/netrc");
    assert!(!netrc.exists());
    // Out of the login.
    let _ = niks3(&store, &["login", "work", &url, "--token-file", &read]).ok();
    let _ = niks3(&store, &["use", "work", "--public-key", &key]).ok();
    assert_eq!(fs::metadata(&netrc).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(realises(&store, &path));
    let _ = niks3(&store, &["use", "work", "--remove"]).ok();
    assert!(!netrc.exists() && !store.path("home/config/nix/nix.conf").exists());
}

#[test]
fn the_settings_of_the_machine_include_a_file_of_their_own() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let path = pushed(&store, &server);
    let (url, key) = (server.url(), server.public_key().to_owned());
    let conf = store.path("etc/nix.conf");
    let before = fs::read_to_string(&conf).unwrap();
    let _ = niks3(&store, &["use", &url, "--system", "--public-key", &key]).ok();
    assert_eq!(
        fs::read_to_string(&conf).unwrap(),
        format!("{}\n!include niks3.conf\n", before.trim_end())
    );
    assert!(realises(&store, &path));
    let _ = niks3(&store, &["use", &url, "--system", "--remove"]).ok();
    assert_eq!(fs::read_to_string(&conf).unwrap().trim_end(), before.trim_end());
    assert!(!store.path("etc/niks3.conf").exists());
}
