//! The flake and its NixOS modules, evaluated by Nix over a small stand-in for nixpkgs:
//! the units are what is committed, and name options that the programs have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use niks3_test_support::{Store, program, run};
use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn evaluated(attribute: &str) -> Value {
    evaluated_with(attribute, None)
}

/// The same, by the `lib` of a checkout of nixpkgs.
fn evaluated_with(attribute: &str, nixpkgs: Option<&Path>) -> Value {
    let store = Store::default();
    let mut command = Command::new("nix-instantiate");
    match nixpkgs {
        Some(checkout) => command.env("NIXPKGS_LIB", checkout),
        None => command.env_remove("NIXPKGS_LIB"),
    };
    store.prepare(command.args(["--eval", "--strict", "--json", "-A", attribute]));
    command.arg(repository().join("nix/tests/units.nix"));
    run(&mut command).json()
}

/// File name and text of every unit, of every configuration.
fn units() -> BTreeMap<String, String> {
    serde_json::from_value(evaluated("units")).unwrap()
}

fn files_below(folder: &Path, name: &str, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = format!("{name}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            files_below(&path, &format!("{name}/"), found);
        } else {
            found.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_units_are_those_that_are_committed() {
    let expected = repository().join("nix/tests/expected");
    let made = units();
    if std::env::var_os("NIKS3_UPDATE").is_some() {
        let _ = std::fs::remove_dir_all(&expected);
        for (name, text) in &made {
            let path = expected.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }
    let mut committed = BTreeMap::new();
    files_below(&expected, "", &mut committed);
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&made),
        names(&committed),
        "NIKS3_UPDATE=1 writes nix/tests/expected anew"
    );
    for (name, text) in &made {
        assert_eq!(
            text, &committed[name],
            "{name}: NIKS3_UPDATE=1 writes nix/tests/expected anew"
        );
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "it says that it is skipped")]
fn the_stand_in_for_nixpkgs_gives_what_the_real_one_gives() {
    let Some(checkout) = std::env::var_os("NIXPKGS_LIB").filter(|checkout| !checkout.is_empty()) else {
        eprintln!("skipped: NIXPKGS_LIB names no checkout of nixpkgs");
        return;
    };
    let checkout = Some(Path::new(&checkout));
    let real: BTreeMap<String, String> = serde_json::from_value(evaluated_with("units", checkout)).unwrap();
    assert_eq!(units(), real);
    assert_eq!(evaluated("refused"), evaluated_with("refused", checkout));
    assert_eq!(evaluated("outputs"), evaluated_with("outputs", checkout));
}

#[test]
fn every_option_of_the_original_means_the_same_here() {
    let units = units();
    let server = &units["original-everything/niks3.service"];
    for part in [
        "/bin/niks3-server ",
        " --db \"${CONN_URL}\" ",
        "EnvironmentFile=/run/secrets/niks3-environment",
        "User=cache",
        "--max-nar-size 20GiB",
        "--read-redirect=true",
        "--mtls-bound-subject CN=builder",
        "--mtls-bound-subject-read \"CN=*\"",
    ] {
        assert!(server.contains(part), "{part}: {server}");
    }
    let hook = &units["original-everything/niks3-auto-upload.service"];
    for part in [
        "--batch-size 20",
        "--max-concurrent-uploads 10",
        "--verify-s3-integrity",
        "%d/client-key",
    ] {
        assert!(hook.contains(part), "{part}: {hook}");
    }
    // 0 means never.
    assert!(!hook.contains("--idle-exit"), "{hook}");
    let socket = &units["original-everything/niks3-auto-upload.socket"];
    assert!(
        socket.contains("ListenStream=/run/niks3/upload-to-cache.sock\nSocketGroup=nixbld"),
        "{socket}"
    );
    let rest: Value = serde_json::from_str(&units["original-everything/rest.json"]).unwrap();
    let host = &rest["nginx"]["virtualHosts"]["niks3.example.com"];
    assert_eq!(
        (&host["enableACME"], &host["forceSSL"]),
        (&false.into(), &false.into())
    );
    assert!(
        host["extraConfig"]
            .as_str()
            .unwrap()
            .contains("ssl_verify_client on;")
    );
    assert!(
        host["locations"]["/"]["extraConfig"]
            .as_str()
            .unwrap()
            .contains("proxy_read_timeout 600s;")
    );
    assert!(rest["warnings"].as_u64() > Some(5), "{rest}");
    let oidc: Value = serde_json::from_str(&units["original-everything/oidc.json"]).unwrap();
    assert_eq!(
        oidc["providers"]["github"]["scopes"],
        serde_json::json!(["read", "push"])
    );
    let refused: BTreeMap<String, bool> = serde_json::from_value(evaluated("refused")).unwrap();
    assert!(refused["the-client-as-the-server"]);
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused() {
    let refused: BTreeMap<String, bool> = serde_json::from_value(evaluated("refused")).unwrap();
    assert!(refused.len() > 5);
    let accepted: Vec<_> = refused.iter().filter(|(_, refused)| !**refused).collect();
    assert!(accepted.is_empty(), "{accepted:?}");
}

#[test]
fn the_flake_has_its_outputs_on_every_system() {
    let outputs = evaluated("outputs");
    for system in ["x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin"] {
        let packages = outputs["packages"][system].to_string();
        for name in [
            "\"default\"",
            "\"niks3\"",
            "\"niks3-server\"",
            "\"niks3-action\"",
            "\"niks3-hook\"",
        ] {
            assert!(packages.contains(name), "{system}: {packages}");
        }
        assert_eq!(
            packages.contains("niks3-server-static"),
            system.ends_with("linux")
        );
        assert!(outputs["devShells"][system].to_string().contains("default"));
        assert!(outputs["apps"][system]["dev"].is_string() && outputs["formatter"][system].is_string());
    }
    assert!(outputs["checks"]["x86_64-linux"].to_string().contains("\"vm\""));
    assert!(evaluated("derivations")["x86_64-linux"]["image"].is_string());
}

/// Property lists, read by the parser of Python's library.
fn property_lists(texts: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    const READ: &str = "import json, plistlib, sys\n\
        print(json.dumps({name: plistlib.loads(text.encode()) for name, text in json.load(open(sys.argv[1])).items()}))";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("texts.json");
    std::fs::write(&file, serde_json::to_string(texts).unwrap()).unwrap();
    let read = run(Command::new("python3").args(["-c", READ]).arg(&file)).json();
    serde_json::from_value(read).unwrap()
}

/// A daemon of launchd starts our program with options that it has, now and whenever it has ended.
fn is_daemon_of_ours(name: &str, list: &Value) {
    let arguments: Vec<&str> = list["ProgramArguments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap())
        .collect();
    // nix-darwin's wait for the volume with the store, in a shell.
    let line = match arguments[..] {
        ["/bin/sh", "-c", line] => line
            .strip_prefix("/bin/wait4path /nix/store && exec ")
            .unwrap_or_else(|| panic!("{name}: {line}"))
            .to_owned(),
        _ => arguments.join(" "),
    };
    let words = run(Command::new("sh").args(["-c", &format!("printf '%s\\n' {line}")])).ok();
    let words: Vec<&str> = words.lines().collect();
    assert!(words[0].ends_with("/bin/niks3"), "{name}: {words:?}");
    let help = run(Command::new(program("niks3")).args(&words[1..]).arg("--help"));
    assert_eq!(help.code, 0, "{name}: {help:?}");
    assert!(
        list["RunAtLoad"] == true && list["KeepAlive"] == true && list["Label"].is_string(),
        "{name}: {list}"
    );
    assert!(
        list["EnvironmentVariables"]["NIKS3_SERVER_URL"].is_string(),
        "{name}: {list}"
    );
}

#[test]
fn the_files_for_launchd_are_property_lists_that_start_the_program() {
    let mut files = BTreeMap::new();
    files_below(&repository().join("contrib/launchd"), "", &mut files);
    assert_eq!(files.len(), 2, "{files:?}");
    for (name, list) in property_lists(&files) {
        assert_eq!(format!("{}.plist", list["Label"].as_str().unwrap()), name);
        is_daemon_of_ours(&name, &list);
    }
    let modules = units()
        .into_iter()
        .filter(|(name, _)| name.starts_with("darwin-"));
    let daemons = modules.filter(|(name, _)| !name.ends_with("settings.json"));
    let daemons: Vec<_> = daemons.collect();
    assert_eq!(daemons.len(), 2, "{daemons:?}");
    for (name, text) in daemons {
        is_daemon_of_ours(&name, &serde_json::from_str(&text).unwrap());
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "it says that it is skipped")]
fn nix_darwin_writes_property_lists_that_start_the_program() {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !is_set("NIXPKGS_LIB") || !is_set("NIX_DARWIN") {
        eprintln!("skipped: NIXPKGS_LIB and NIX_DARWIN do not name checkouts of nixpkgs and nix-darwin");
        return;
    }
    let store = Store::default();
    let mut command = Command::new("nix-instantiate");
    store.prepare(command.args(["--eval", "--strict", "--json"]));
    let evaluated = run(command.arg(repository().join("nix/tests/darwin.nix"))).json();
    for (name, lists) in evaluated.as_object().unwrap() {
        let lists: BTreeMap<String, String> = serde_json::from_value(lists.clone()).unwrap();
        assert!(!lists.is_empty(), "{name}");
        for (label, list) in property_lists(&lists) {
            is_daemon_of_ours(&format!("{name}/{label}"), &list);
        }
    }
}

/// The options in the help of a program.
fn options(program_name: &str, arguments: &[&str]) -> BTreeSet<String> {
    let help = run(Command::new(program(program_name)).args(arguments).arg("--help")).ok();
    flags(&help)
}

/// Everything in a text that looks like a long option.
fn flags(text: &str) -> BTreeSet<String> {
    text.split(|c: char| c.is_whitespace() || "=,[]\"".contains(c))
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| {
            word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
                .to_owned()
        })
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn the_commands_of_the_units_name_options_that_the_programs_have() {
    let mut all = units();
    files_below(&repository().join("contrib/systemd"), "contrib/", &mut all);
    let server = options("niks3-server", &[]);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (name, text) in &all {
        for line in text.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
            let (path, arguments) = line.split_once(' ').unwrap();
            let known = match path.rsplit('/').next().unwrap() {
                "niks3-server" => server.clone(),
                "niks3" => {
                    let words: Vec<_> = arguments
                        .split(' ')
                        .take_while(|word| !word.starts_with("--"))
                        .collect();
                    options("niks3", &words)
                }
                other => panic!("{name}: {other}"),
            };
            seen += 1;
            wrong.extend(
                flags(arguments)
                    .difference(&known)
                    // A server that is built without TLS leaves it to the proxy before it.
                    .filter(|flag| server.contains("tls-cert") || !flag.contains("tls-"))
                    .map(|flag| format!("{name}: --{flag}")),
            );
        }
    }
    assert!(seen > 8 && wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_the_module_writes_for_oidc_is_what_the_server_reads() {
    let folder = tempfile::tempdir().unwrap();
    let text = units().remove("everything/oidc.json").unwrap();
    let path = folder.path().join("oidc.json");
    // The fault to be named comes after this file in the order that options are read in.
    std::fs::write(&path, &text).unwrap();
    let output = niks3_test_support::Server::try_start(&[
        "--data-dir",
        folder.path().join("data").to_str().unwrap(),
        "--oidc-config",
        path.to_str().unwrap(),
        "--priority",
        "0",
    ]);
    assert!(
        output.stderr.contains("--priority") && output.code == 2,
        "{}",
        output.stderr
    );
    std::fs::write(&path, text.replace("bound_claims", "bound_claim")).unwrap();
    let output = niks3_test_support::Server::try_start(&[
        "--data-dir",
        folder.path().join("data").to_str().unwrap(),
        "--oidc-config",
        path.to_str().unwrap(),
    ]);
    assert!(output.stderr.contains("--oidc-config"), "{}", output.stderr);
}

#[test]
fn every_nix_file_parses() {
    let mut files = BTreeMap::new();
    files_below(&repository().join("nix"), "nix/", &mut files);
    files.insert("flake.nix".into(), String::new());
    let store = Store::default();
    for name in files.keys().filter(|name| name.ends_with(".nix")) {
        let mut command = Command::new("nix-instantiate");
        store.prepare(command.arg("--parse").arg(repository().join(name)));
        let _ = run(&mut command).ok();
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let found = Command::new("systemd-analyze").arg("--version").output();
    let found = found.expect("systemd-analyze, which scripts/setup --packages installs");
    assert!(found.status.success());
    let mut all = units();
    files_below(&repository().join("contrib/systemd"), "contrib/", &mut all);
    let folder = tempfile::tempdir().unwrap();
    let mut sets: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (name, text) in &all {
        let (set, file) = name.split_once('/').unwrap();
        if file.ends_with(".json") {
            continue;
        }
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // The programs and the pages are not where the units will find them.
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("Documentation=") && !line.starts_with("Requires=postgresql"))
            // A unit of the configuration's own.
            .filter(|line| *line != "Requires=secrets.service")
            .map(|line| match line.strip_prefix("ExecStart=") {
                Some(command) => format!("ExecStart=/bin/true {}", command.split_once(' ').unwrap().1),
                None => line.to_owned(),
            })
            .collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        sets.entry(set.to_owned()).or_default().push(path);
    }
    for paths in sets.values() {
        let output = run(Command::new("systemd-analyze").arg("verify").args(paths));
        let ours: Vec<_> = output
            .stderr
            .lines()
            .filter(|line| line.contains(folder.path().to_str().unwrap()) || line.starts_with("niks3"))
            .collect();
        assert!(ours.is_empty(), "{ours:#?}");
    }
}
