//! With every version of Nix that `scripts/setup` installs: what one pushes, each of them reads.

mod build_trace;
mod debug_info;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use niks3_nix::narinfo::NarInfo;
use niks3_nix::realisation::{BuildTraceEntry, BuildTraceKey};
use niks3_nix::signature::PublicKey;
use niks3_nix::store_path::StoreDir;
use niks3_test_support::{Backend, Server, Store, check_bucket, run};

/// A version of Nix.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    /// Major and minor number.
    number: (u32, u32),
    programs: PathBuf,
}

/// From here on realisations are named otherwise, and older Nix finds no newer ones.
const BUILD_TRACE: (u32, u32) = (2, 35);
/// From here on `nix store add` has modes for git objects and BLAKE3.
const STORE_ADD_MODES: (u32, u32) = (2, 34);
/// From here on `DRV^OUTPUT` names an output.
const OUTPUT_NAMES: (u32, u32) = (2, 13);

fn versions() -> Vec<Version> {
    let all = std::env::var("NIKS3_TEST_NIX_ALL")
        .expect("NIKS3_TEST_NIX_ALL: eval \"$(scripts/setup --print-env)\"");
    all.split(':')
        .map(|programs| {
            let programs = PathBuf::from(programs);
            let printed = run(Command::new(programs.join("nix")).arg("--version")).ok();
            let version = printed.split_whitespace().next_back().unwrap();
            let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
            let number = (numbers.next().unwrap(), numbers.next().unwrap());
            Version { number, programs }
        })
        .collect()
}

fn push(server: &Server, store: &Store, arguments: &[&str]) -> serde_json::Value {
    let mut command = server.niks3();
    store.prepare(command.args(["push", "--json"]).args(arguments));
    run(&mut command).json()
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

#[test]
fn the_versions_are_those_whose_forms_differ() {
    let versions = versions();
    for (what, from, to) in [
        (
            "prints path infos as an array, and takes a derivation for its outputs",
            (2, 0),
            (2, 8),
        ),
        ("prints path infos as an object", (2, 19), (2, 33)),
        ("has other forms of path infos as well", (2, 34), (u32::MAX, 0)),
    ] {
        let there = versions
            .iter()
            .any(|version| (from..=to).contains(&version.number));
        assert!(there, "no Nix that {what}: {versions:?}");
    }
}

#[test]
fn every_nix_reads_what_every_nix_pushed() {
    let versions = versions();
    for pushing in &versions {
        let store = Store::new(Some(pushing.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let app = store
            .build(
                "let words = build \"words\" \"mkdir $out; echo hello > $out/words\"; in build \"app\" \
                 ''mkdir -p $out/bin; ln -s ${words}/words $out/link; echo odd > \"$out/a name with spaces\"''",
            )
            .remove(0);
        assert_eq!(push(&server, &store, &[&app])["uploaded"], 2, "{pushing:?}");
        let closure = store.closure(&app);
        assert_eq!(closure.len(), 2);
        for reading in &versions {
            let to = store.path(&format!("read-{}-{}", reading.number.0, reading.number.1));
            let mut command = Command::new(reading.programs.join("nix"));
            store.prepare(&mut command);
            command.args(["copy", "--from", &server.url(), "--to", to.to_str().unwrap()]);
            command.args(["--option", "trusted-public-keys", server.public_key(), &app]);
            let _ = run(&mut command).ok();
            for path in &closure {
                let copied = to.join("nix/store").join(base_name(path));
                let same = run(Command::new("diff")
                    .args(["-r", "--no-dereference", path])
                    .arg(copied));
                assert_eq!(
                    (same.code, same.stdout.as_str()),
                    (0, ""),
                    "{path} pushed by {pushing:?}, read by {reading:?}"
                );
            }
        }
    }
}

/// `i` and `j` are addressed by their inputs, which are not: `b`, `a` and `tool` are addressed by their contents.
/// Neither `tool` nor the words of `salt` get into anything.
fn content_addressed(salt: &str) -> String {
    format!(
        "let build = name: script: derivation {{ inherit name; system = builtins.currentSystem; \
           builder = \"/bin/sh\"; PATH = \"/usr/bin:/bin\"; args = [ \"-ec\" script ]; }}; \
         ca = name: script: derivation {{ inherit name; system = builtins.currentSystem; \
           builder = \"/bin/sh\"; PATH = \"/usr/bin:/bin\"; args = [ \"-ec\" script ]; \
           __contentAddressed = true; outputHashMode = \"recursive\"; outputHashAlgo = \"sha256\"; }}; \
         in rec {{ \
           a = ca \"a\" \": {salt}; echo a > $out\"; \
           tool = ca \"tool\" \"echo tool > $out\"; \
           b = ca \"b\" \"cat ${{tool}}; mkdir $out; echo ${{a}} > $out/a\"; \
           i = build \"i\" \"mkdir $out; echo ${{a}} ${{b}} > $out/x\"; \
           j = build \"j\" \"mkdir $out; echo ${{i}} > $out/i\"; }}"
    )
}

/// Builds an attribute of an expression by a version of Nix, in a store.
fn built(store: &Store, by: &Version, expression: &str, name: &str, more: &[&str]) -> String {
    let mut command = Command::new(by.programs.join("nix-build"));
    store.prepare(&mut command);
    command
        .args(["--no-out-link", "-E", expression, "-A", name])
        .args(more);
    run(&mut command).ok().trim().to_owned()
}

fn empty(store: &Store) {
    let _ = run(Command::new("chmod").args(["-R", "u+w"]).arg(store.dir()));
    for folder in ["store", "state", "home/cache"] {
        let _ = std::fs::remove_dir_all(store.path(folder));
    }
}

/// Checks what Nix 2.35 asks for: the path of a content-addressed output, by the derivation that made it.
fn check_build_trace(server: &Server, store: &Store, path: &str) {
    let deriver = store.nix("nix-store", &["-q", "--deriver", path]);
    let key: BuildTraceKey = format!("{}^out", base_name(deriver.trim())).parse().unwrap();
    let object = server.get(&key.cache_key());
    let object = object.unwrap_or_else(|| panic!("no {}", key.cache_key()));
    let entry = BuildTraceEntry::parse(&object).unwrap();
    assert_eq!(entry.out_path().as_str(), base_name(path));
    let public: PublicKey = server.public_key().parse().unwrap();
    let message = key.fingerprint(entry.out_path());
    assert!(
        entry
            .signatures()
            .iter()
            .any(|signature| public.verify(message.as_bytes(), signature)),
        "{} is not signed",
        key.cache_key()
    );
}

#[test]
fn what_was_evaluated_is_substituted_without_building_its_content_addressed_inputs() {
    let versions = versions();
    for pushing in &versions {
        let store = Store::new(Some(pushing.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let expression = content_addressed("one");
        let names = ["a", "b", "i", "j", "tool"];
        let paths = names.map(|name| built(&store, pushing, &expression, name, &[]));
        let [a, b, _, j, tool] = &paths;
        // Nix 2.35 resolves anew, and asks for all inputs; older ones do not need `tool`.
        push(&server, &store, &[j, tool]);
        for path in [a, b] {
            check_build_trace(&server, &store, path);
        }
        // Other derivations that come out the same are known by their own names as well.
        let again = content_addressed("two");
        assert_eq!(built(&store, pushing, &again, "j", &[]), *j);
        assert_eq!(push(&server, &store, &[j])["uploaded"], 0);
        let key = server.public_key().to_owned();
        let options = [
            "-j0",
            "--option",
            "substituters",
            &server.url(),
            "--option",
            "trusted-public-keys",
            &key,
        ];
        for reading in &versions {
            if (pushing.number < BUILD_TRACE) != (reading.number < BUILD_TRACE) {
                continue;
            }
            for (name, path) in names.iter().zip(&paths) {
                for expression in [&expression, &again] {
                    empty(&store);
                    assert_eq!(
                        built(&store, reading, expression, name, &options),
                        *path,
                        "{name} pushed by {pushing:?}, read by {reading:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_content_address_that_nix_makes_is_found_right() {
    for version in versions() {
        let store = Store::new(Some(version.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let folder = store.path("folder");
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::create_dir_all(folder.join("sub.d")).unwrap();
        // Git sorts `sub` behind `sub.d`.
        for name in ["a", "sub/x", "sub.d/y"] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        std::fs::write(folder.join("program"), "#!").unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.join("program"), executable).unwrap();
        std::os::unix::fs::symlink("a", folder.join("link")).unwrap();
        let (folder, file) = (
            folder.display().to_string(),
            folder.join("a").display().to_string(),
        );
        let mut paths = Vec::new();
        for algorithm in ["md5", "sha1", "sha256", "sha512"] {
            let add = |arguments: &[&str]| store.nix("nix-store", arguments).trim().to_owned();
            paths.push(add(&["--add-fixed", algorithm, &file]));
            paths.push(add(&["--add-fixed", "--recursive", algorithm, &folder]));
        }
        let text = "builtins.toFile \"text\" \"refers to ${builtins.toFile \"other\" \"other\"}\"";
        paths.push(
            store
                .nix("nix-instantiate", &["--eval", "--read-write-mode", "-E", text])
                .trim()
                .trim_matches('"')
                .to_owned(),
        );
        // Of what refers to itself the hash is taken without that, and 2.8 takes it otherwise than later ones.
        let itself = "derivation { name = \"itself\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
             PATH = \"/usr/bin:/bin\"; args = [ \"-ec\" \"mkdir $out; echo $out $out > $out/x; ln -s $out/x $out/y\" ]; \
             __contentAddressed = true; outputHashMode = \"recursive\"; outputHashAlgo = \"sha256\"; }";
        let expression = format!("{{ itself = {itself}; }}");
        paths.push(built(&store, &version, &expression, "itself", &[]));
        if version.number >= STORE_ADD_MODES {
            let mut config = std::fs::OpenOptions::new()
                .append(true)
                .open(store.path("etc/nix.conf"))
                .unwrap();
            config
                .write_all(b"extra-experimental-features = git-hashing blake3-hashes\n")
                .unwrap();
            for (mode, algorithm, from) in [
                ("git", "sha1", &folder),
                ("git", "sha256", &folder),
                ("git", "sha1", &file),
                ("nar", "blake3", &folder),
                ("flat", "blake3", &file),
            ] {
                let name = format!("{mode}-{algorithm}");
                let added = store.nix(
                    "nix",
                    &[
                        "store",
                        "add",
                        "--name",
                        &name,
                        "--mode",
                        mode,
                        "--hash-algo",
                        algorithm,
                        from,
                    ],
                );
                paths.push(added.trim().to_owned());
            }
        }
        let roots: Vec<&str> = paths.iter().map(String::as_str).collect();
        let pushed = push(&server, &store, &roots);
        assert!(
            pushed["uploaded"].as_u64().unwrap() >= paths.len() as u64,
            "{version:?}: {pushed}"
        );
        for path in &paths {
            let text = server
                .get(&format!("{}.narinfo", &base_name(path)[..32]))
                .unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains("\nCA: "), "{version:?}: {text}");
        }
        let found = check_bucket(&server, &store.dir(), &paths, &[]);
        assert!(found.len() >= paths.len(), "{version:?}: {found:?}");
        let report = run(server.niks3().args(["fsck", "--json"])).json();
        assert_eq!(report["findings"], serde_json::json!([]), "{version:?}: {report}");
    }
}

#[test]
fn an_output_whose_siblings_are_gone_is_still_substituted_by_its_derivation() {
    for version in versions() {
        if version.number < OUTPUT_NAMES {
            continue;
        }
        let store = Store::new(Some(version.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let expression = "{ two = derivation { name = \"two\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
             args = [ \"-c\" \"echo out > $out; echo doc > $doc\" ]; outputs = [ \"out\" \"doc\" ]; \
             __contentAddressed = true; outputHashMode = \"recursive\"; outputHashAlgo = \"sha256\"; }; }";
        let doc = built(&store, &version, expression, "two.doc", &[]);
        let out = built(&store, &version, expression, "two.out", &[]);
        store.nix("nix-store", &["--delete", &doc]);
        push(&server, &store, &[&out]);
        empty(&store);
        let key = server.public_key().to_owned();
        let options = [
            "-j0",
            "--option",
            "substituters",
            &server.url(),
            "--option",
            "trusted-public-keys",
            &key,
        ];
        assert_eq!(
            built(&store, &version, expression, "two.out", &options),
            out,
            "{version:?}"
        );
    }
}

#[test]
fn a_derivation_is_pushed_as_itself_and_beside_others() {
    for version in versions() {
        let store = Store::new(Some(version.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let app = store.build("build \"app\" \"echo app > $out\"").remove(0);
        let own = store.nix("nix-store", &["-q", "--deriver", &app]);
        let file = store.path("unbuilt.nix");
        let text = "derivation { name = \"unbuilt\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
             script = builtins.toFile \"script\" \"exit 1\"; }";
        std::fs::write(&file, text).unwrap();
        let unbuilt = store.nix("nix-instantiate", &[file.to_str().unwrap()]);
        let (own, unbuilt) = (own.trim(), unbuilt.trim());
        assert_eq!(push(&server, &store, &[unbuilt])["uploaded"], 2, "{version:?}");
        assert_eq!(
            push(&server, &store, &[own, unbuilt, &app])["uploaded"],
            2,
            "{version:?}"
        );
        let roots = [own.to_owned(), unbuilt.to_owned(), app];
        assert_eq!(
            check_bucket(&server, &store.dir(), &roots, &[]).len(),
            4,
            "{version:?}"
        );
    }
}

/// What a narinfo says of the path itself.
fn of_the_path(store_dir: &StoreDir, text: &[u8], without: &str) -> NarInfo {
    let mut info = NarInfo::parse(store_dir, std::str::from_utf8(text).unwrap()).unwrap();
    info.sigs.retain(|signature| signature.key_name() != without);
    NarInfo {
        url: "nar/x.nar".parse().unwrap(),
        compression: "none".parse().unwrap(),
        file_hash: None,
        file_size: None,
        ..info
    }
}

#[test]
fn narinfos_say_of_every_kind_of_path_what_nix_says() {
    for version in versions() {
        let store = Store::new(Some(version.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let store_dir: StoreDir = store.dir().to_str().unwrap().parse().unwrap();
        let file = store.path("file");
        std::fs::write(&file, "fixed\n").unwrap();
        let file = file.to_str().unwrap();
        let hash = |more: &[&str]| {
            let arguments = [&["--type", "sha256", file][..], more].concat();
            store.nix("nix-hash", &arguments).trim().to_owned()
        };
        let fixed = |mode: &str, hash: &str| {
            format!(
                "derivation {{ name = \"{mode}\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
                 args = [ \"-c\" \"echo fixed > $out\" ]; outputHashMode = \"{mode}\"; \
                 outputHashAlgo = \"sha256\"; outputHash = \"{hash}\"; }}"
            )
        };
        let (flat, recursive) = (fixed("flat", &hash(&["--flat"])), fixed("recursive", &hash(&[])));
        let app = store
            .build(&format!(
                "let flat = {flat}; recursive = {recursive}; text = builtins.toFile \"text\" \"text\"; \
                 source = builtins.path {{ path = {file}; name = \"source\"; }}; \
                 plain = builtins.path {{ path = {file}; name = \"plain\"; recursive = false; }}; \
                 floating = ca \"floating\" \"echo > $out\"; in build \"app\" \
                 \"echo ${{flat}} ${{recursive}} ${{text}} ${{source}} ${{plain}} ${{floating}} $out > $out\""
            ))
            .remove(0);
        let secret = store.nix("nix", &["key", "generate-secret", "--key-name", "builder-1"]);
        std::fs::write(store.path("secret"), &secret).unwrap();
        let key = store.path("secret").display().to_string();
        store.nix("nix", &["store", "sign", "-k", &key, "--recursive", &app]);
        push(&server, &store, &[&app]);
        let cache = store.path("cache");
        store.nix(
            "nix",
            &["copy", "--to", &format!("file://{}", cache.display()), &app],
        );
        let closure = store.closure(&app);
        let (ours, _) = server.public_key().split_once(':').unwrap();
        let mut kinds: Vec<String> = Vec::new();
        for path in &closure {
            let name = format!("{}.narinfo", &base_name(path)[..32]);
            let theirs = std::fs::read(cache.join(&name)).unwrap();
            let theirs = of_the_path(&store_dir, &theirs, ours);
            let found = of_the_path(&store_dir, &server.get(&name).unwrap(), ours);
            assert_eq!(found, theirs, "{path}, {version:?}");
            assert_eq!(found.to_string(&store_dir), theirs.to_string(&store_dir));
            assert!(!found.sigs.is_empty(), "{path}, {version:?}");
            let ca = found.ca.map_or_else(String::new, |ca| ca.to_string());
            let (kind, _) = ca.rsplit_once(':').unwrap_or_default();
            kinds.push(format!("{kind} {}", found.deriver.is_some()));
        }
        kinds.sort_unstable();
        let wanted = [
            " true",
            "fixed:r:sha256 false",
            "fixed:r:sha256 true",
            "fixed:r:sha256 true",
            "fixed:sha256 false",
            "fixed:sha256 true",
            "text:sha256 false",
        ];
        assert_eq!(kinds, wanted, "{version:?}");
    }
}

#[test]
fn signatures_that_are_none_spoil_no_push() {
    for version in versions() {
        let store = Store::new(Some(version.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let app = store.build("build \"app\" \"echo app > $out\"").remove(0);
        // As a cache may have said, and Nix has kept.
        let many: Vec<String> = (0..100)
            .map(|i| format!("key-{i}:{}==", "A".repeat(86)))
            .collect();
        // Newer ones cannot even say what they know of a path with a signature that is none.
        let odd = if version.number < (2, 34) {
            "no-colon key:odd k-1:c2ln "
        } else {
            ""
        };
        let odd = format!("{odd}{}", many.join(" "));
        let update = format!("UPDATE ValidPaths SET sigs = '{odd}' WHERE path = '{app}'");
        let database = store.path("state/db/db.sqlite");
        let _ = run(Command::new("sqlite3").arg(database).arg(update)).ok();
        assert_eq!(push(&server, &store, &[&app])["uploaded"], 1, "{version:?}");
        store.substitutes(&server.url(), server.public_key(), &app);
    }
}

/// What is in a folder, at any depth.
fn tree(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = run(Command::new("find").arg(folder))
        .ok()
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_reader_of_the_folder_makes_nothing_in_it() {
    for version in versions() {
        let store = Store::new(Some(version.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let path = store.build("build \"words\" \"echo hello > $out\"").remove(0);
        push(&server, &store, &[&path]);
        let folder = server.directory().join("bucket");
        let before = tree(&folder);
        for name in ["nar", "log", "realisations", "build-trace-v2"] {
            assert!(folder.join(name).is_dir(), "{version:?}: {name}");
        }
        let mut command = Command::new(version.programs.join("nix"));
        store.prepare(&mut command);
        command.args(["copy", "--from", &format!("file://{}", folder.display())]);
        command.args(["--to", store.path("read").to_str().unwrap()]);
        command.args(["--option", "trusted-public-keys", server.public_key(), &path]);
        let _ = run(&mut command).ok();
        assert_eq!(tree(&folder), before, "{version:?}");
    }
}

#[test]
fn nix_copy_to_the_read_proxy_is_told_that_it_is_read_only() {
    for version in versions() {
        let store = Store::new(Some(version.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let path = store.build("build \"words\" \"echo hello > $out\"").remove(0);
        let mut command = Command::new(version.programs.join("nix"));
        store.prepare(&mut command);
        command.args(["copy", "--to", &server.url(), &path]);
        let copied = run(&mut command);
        assert_eq!(copied.code, 1, "{version:?}: {copied:?}");
        for words in ["HTTP error 405", "this cache is read only here; use niks3 push"] {
            assert!(copied.stderr.contains(words), "{version:?}: {copied:?}");
        }
    }
}
