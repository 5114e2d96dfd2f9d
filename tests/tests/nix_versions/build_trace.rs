//! What Nix 2.35 asks a cache for, and what older ones find of that. It cannot be installed here, so that bytes and rules are
//! checked.

use niks3_nix::derivation::Derivation;
use niks3_nix::realisation::{BuildTraceEntry, BuildTraceKey};
use niks3_test_support::{Backend, Server, Store, run};

use super::{BUILD_TRACE, base_name, built, check_build_trace, empty, push, versions};

/// A content-addressed derivation by what it runs.
fn floating(name: &str, script: &str, more: &str) -> String {
    format!(
        "derivation {{ name = \"{name}\"; system = builtins.currentSystem; builder = \"/bin/sh\"; PATH = \"/usr/bin:/bin\"; \
           args = [ \"-ec\" ''{script}'' ]; __contentAddressed = true; outputHashMode = \"recursive\"; \
           outputHashAlgo = \"sha256\"; {more} }}"
    )
}

#[test]
fn nix_235_is_told_of_an_output_that_refers_to_itself_only_by_a_hash_that_it_finds_too() {
    for version in versions() {
        let store = Store::new(Some(version.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let itself = floating("itself", "mkdir $out; echo $out > $out/x", "");
        let path = built(
            &store,
            &version,
            &format!("{{ itself = {itself}; }}"),
            "itself",
            &[],
        );
        push(&server, &store, &[&path]);
        let deriver = store.nix("nix-store", &["-q", "--deriver", &path]);
        let key: BuildTraceKey = format!("{}^out", base_name(deriver.trim())).parse().unwrap();
        // Between these, Nix left the positions of the references out of the hash.
        let is_found = version.number < (2, 17) || version.number >= BUILD_TRACE;
        assert_eq!(server.get(&key.cache_key()).is_some(), is_found, "{version:?}");
        // Its own readers find it.
        empty(&store);
        let key = server.public_key().to_owned();
        let url = server.url();
        let options = [
            "-j0",
            "--option",
            "substituters",
            &url,
            "--option",
            "trusted-public-keys",
            &key,
        ];
        let read = built(
            &store,
            &version,
            &format!("{{ itself = {itself}; }}"),
            "itself",
            &options,
        );
        assert_eq!(read, path, "{version:?}");
    }
}

/// The resolved derivations of a name that the store has.
fn resolved(store: &Store, name: &str) -> Vec<String> {
    let entries = std::fs::read_dir(store.dir()).unwrap();
    let mut found: Vec<String> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            Derivation::parse(text.as_bytes())
                .is_some_and(|derivation| !derivation.realisation_ids().is_empty())
        })
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|file| file.ends_with(&format!("-{name}.drv")))
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn all_derivations_that_came_out_the_same_are_in_the_build_trace() {
    for version in versions() {
        let store = Store::new(Some(version.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let expression = |salt: &str| {
            let tool = floating("tool", &format!("echo {salt} > $out"), "");
            let same = floating("same", &format!("cat ${{tool}}; : {salt}; echo same > $out"), "");
            format!("rec {{ tool = {tool}; same = {same}; }}")
        };
        let [one, two] = ["one", "two"].map(|salt| built(&store, &version, &expression(salt), "same", &[]));
        assert_eq!(one, two);
        push(&server, &store, &[&one]);
        let derivations = resolved(&store, "same");
        assert_eq!(derivations.len(), 2, "{version:?}: {derivations:?}");
        for derivation in derivations {
            let object = server.get(&format!("build-trace-v2/{derivation}/out.doi"));
            let object = object.unwrap_or_else(|| panic!("{version:?}: nothing of {derivation}"));
            let entry = BuildTraceEntry::parse(&object).unwrap();
            assert_eq!(entry.out_path().as_str(), base_name(&one), "{version:?}");
        }
    }
}

/// From here on Nix goes on with `-j0` to the resolved derivation when the cache does not know the one that was evaluated.
const FINDS_RESOLVED: (u32, u32) = (2, 26);

/// `c` needs `b` and `b` needs `a` when they run, and `b` needs `tool` only while it is built.
const CHAIN: [&str; 4] = ["a", "tool", "b", "c"];

fn chain() -> String {
    format!(
        "rec {{ a = {}; seed = {}; tool = {}; b = {}; c = {}; i = derivation {{ name = \"i\"; \
           system = builtins.currentSystem; builder = \"/bin/sh\"; PATH = \"/usr/bin:/bin\"; \
           args = [ \"-ec\" \"cat ${{tool}}; echo i > $out\" ]; }}; }}",
        floating("a", "echo a > $out", ""),
        floating("seed", "echo seed > $out", ""),
        floating("tool", "cat ${seed}; echo tool > $out", ""),
        floating("b", "cat ${tool}; mkdir $out; echo ${a} > $out/a", ""),
        floating("c", "mkdir $out; echo ${b} > $out/b", ""),
    )
}

#[test]
fn what_a_reader_needs_to_resolve_a_derivation_is_pushed_with_its_output() {
    for version in versions() {
        for pin in [&[][..], &["--pin", "release"]] {
            let store = Store::new(Some(version.programs.clone()));
            let server = Server::start(Backend::Embedded, &store.dir());
            let expression = chain();
            let paths = CHAIN.map(|name| built(&store, &version, &expression, name, &[]));
            let seed = built(&store, &version, &expression, "seed", &[]);
            let [a, tool, b, c] = &paths;
            assert_eq!(store.closure(c).len(), 3);
            let pushed = push(&server, &store, &[&[c.as_str()], pin].concat());
            assert_eq!(pushed["uploaded"], 5, "{version:?}: {pushed}");
            assert_eq!(pushed["closures"], serde_json::json!([c]), "{version:?}");
            // Nix 2.35 resolves from the bottom up, and asks for each by its resolved derivation.
            for path in [a, tool, b, c, &seed] {
                check_build_trace(&server, &store, path);
            }
            if !pin.is_empty() {
                let text = String::from_utf8(server.get("pins/release").unwrap()).unwrap();
                assert_eq!(text.trim(), c);
            }
            let kept = run(server.niks3().args(["gc", "--older-than=1h", "--force"]));
            let _ = kept.ok();
            check_build_trace(&server, &store, tool);
            assert_eq!(
                push(&server, &store, &[&[c.as_str()], pin].concat())["uploaded"],
                0
            );
        }
    }
}

#[test]
fn older_nix_finds_by_resolved_derivations_alone_what_nix_235_would_push() {
    let versions = versions();
    for pushing in &versions {
        let store = Store::new(Some(pushing.programs.clone()));
        let server = Server::start(Backend::Embedded, &store.dir());
        let expression = chain();
        let c = built(&store, pushing, &expression, "c", &[]);
        let i = built(&store, pushing, &expression, "i", &[]);
        push(&server, &store, &[&c, &i]);
        // Nix 2.35 knows none of the others.
        let resolved: Vec<String> = ["a", "seed", "tool", "b", "c"]
            .iter()
            .flat_map(|name| resolved(&store, name))
            .flat_map(|name| {
                let text = std::fs::read(store.dir().join(name)).unwrap();
                Derivation::parse(&text).unwrap().realisation_ids()
            })
            .map(|id| format!("{id}.doi"))
            .collect();
        let folder = server.directory().join("bucket").join("realisations");
        let mut left = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if resolved.contains(&entry.file_name().into_string().unwrap()) {
                left += 1;
            } else {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        assert_eq!(left, 5, "{pushing:?}");
        let key = server.public_key().to_owned();
        let url = server.url();
        let options = [
            "-j0",
            "--option",
            "substituters",
            &url,
            "--option",
            "trusted-public-keys",
            &key,
        ];
        for reading in &versions {
            // Nix 2.8 dies of it: "free(): invalid pointer".
            if reading.number < FINDS_RESOLVED {
                continue;
            }
            for (name, path) in [("c", &c), ("i", &i)] {
                empty(&store);
                let read = built(&store, reading, &expression, name, &options);
                assert_eq!(read, *path, "{name} pushed by {pushing:?}, read by {reading:?}");
            }
        }
    }
}
