//! Debug information by build id, as `nix copy` indexes it.

use std::collections::BTreeMap;
use std::process::Command;

use niks3_test_support::{Backend, Server, ServerOptions, Store, check_bucket, run};
use serde_json::Value;

use super::{base_name, push, versions};

const DEBUG: &str = "build \"debug\" ''d=$out/lib/debug/.build-id; mkdir -p $d/ab $d/cd $d/xy; \
    echo one > $d/ab/cdef0123456789abcdef0123456789abcdef01.debug; \
    echo two > $d/cd/cdef0123456789abcdef0123456789abcdef02.debug; \
    echo odd > $d/cd/cdef.debug; echo odd > $d/xy/cdef0123456789abcdef0123456789abcdef03.debug; \
    ln -s ../ab/cdef0123456789abcdef0123456789abcdef01.debug $d/cd/cdef0123456789abcdef0123456789abcdef04.debug''";

fn server(backend: Backend, store: &Store, index: bool) -> Server {
    let arguments = index.then(|| "--index-debug-info".to_owned());
    Server::with(
        backend,
        ServerOptions {
            store_dir: Some(store.dir()),
            arguments: arguments.into_iter().collect(),
            ..ServerOptions::default()
        },
    )
}

fn build_ids(server: &Server) -> Vec<String> {
    let mut keys = server.bucket().keys();
    keys.retain(|key| key.starts_with("debuginfo/"));
    keys
}

#[test]
fn debug_information_is_indexed_as_nix_copy_does_it() {
    let versions = versions();
    let last = versions.last().map(|version| (Backend::Services, version));
    let embedded = versions.iter().map(|version| (Backend::Embedded, version));
    for (backend, version) in embedded.chain(last) {
        let store = Store::new(Some(version.programs.clone()));
        let path = store.build(DEBUG).remove(0);
        let plain = store.path("plain");
        let url = format!(
            "file://{}?compression=none&index-debug-info=true",
            plain.display()
        );
        store.nix("nix", &["copy", "--to", &url, &path]);
        let folder = std::fs::read_dir(plain.join("debuginfo")).unwrap();
        let theirs: BTreeMap<String, Value> = folder
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let key = format!("debuginfo/{}", entry.file_name().into_string().unwrap());
                let text = std::fs::read(entry.path()).unwrap();
                (key, serde_json::from_slice(&text).unwrap())
            })
            .collect();
        assert_eq!(theirs.len(), 2, "{version:?}: {theirs:?}");

        let server = server(backend, &store, true);
        push(&server, &store, &[&path]);
        assert!(
            build_ids(&server).iter().eq(theirs.keys()),
            "{version:?}: {:?}",
            build_ids(&server)
        );
        let narinfo = server
            .get(&format!("{}.narinfo", &base_name(&path)[..32]))
            .unwrap();
        let narinfo = String::from_utf8(narinfo).unwrap();
        let nar = narinfo
            .lines()
            .find_map(|line| line.strip_prefix("URL: "))
            .unwrap();
        for (key, theirs) in &theirs {
            // Readers get it from the read proxy.
            let ours: Value = serde_json::from_slice(&server.get(key).unwrap()).unwrap();
            assert_eq!(ours["member"], theirs["member"], "{version:?}");
            assert_eq!(ours["archive"], format!("../{nar}"), "{version:?}");
            assert_eq!(ours.as_object().unwrap().len(), theirs.as_object().unwrap().len());
        }
        let report = run(server.niks3().args(["fsck", "--json"])).json();
        assert_eq!(report["findings"], serde_json::json!([]), "{version:?}: {report}");
        let found = check_bucket(&server, &store.dir(), std::slice::from_ref(&path), &[]);
        assert_eq!(found.len(), 1, "{version:?}: {found:?}");

        let _ = run(server.niks3().args(["gc", "--older-than=0s", "--force"])).ok();
        assert!(
            build_ids(&server).is_empty(),
            "{version:?}: {:?}",
            build_ids(&server)
        );
        assert_eq!(server.sql("SELECT count(*) FROM debug_infos"), ["0"]);
    }
}

#[test]
fn debug_information_is_indexed_only_if_the_option_says_so() {
    let store = Store::new(None);
    let path = store.build(DEBUG).remove(0);
    let server = server(Backend::Embedded, &store, false);
    push(&server, &store, &[&path]);
    assert!(build_ids(&server).is_empty());
    let found = run(Command::new("find").arg(server.directory().join("bucket")));
    assert!(!found.ok().contains("debuginfo"));
}
