//! NARs and listings are byte for byte those of real Nix.
#![allow(clippy::unwrap_used)]

mod common;

use std::{ffi::OsStr, fs, path::Path};

use common::{Nix, odd, odd_tree, write};
use niks3_nix::{
    hash::{NarHash, Sha256Writer},
    listing::Listing,
    nar::{self, DumpOptions, Packed, RestoreOptions},
};

fn dump(path: &Path) -> (Vec<u8>, Packed) {
    let mut nar = Vec::new();
    let packed = nar::dump(path, &mut nar, DumpOptions::default()).unwrap();
    assert_eq!(packed.nar_size, nar.len() as u64);
    (nar, packed)
}

fn nix_dump(nix: &Nix, path: &Path) -> Vec<u8> {
    nix.run("nix-store", [OsStr::new("--dump"), path.as_os_str()])
}

/// Not `assert_eq`, which would print megabytes.
fn assert_same(ours: &[u8], theirs: &[u8]) {
    let differ = ours.iter().zip(theirs).position(|(a, b)| a != b);
    assert!(
        ours == theirs,
        "{} and {} bytes differ from byte {differ:?}",
        ours.len(),
        theirs.len()
    );
}

#[test]
fn a_tree_of_everything_packs_as_nix_packs_it() {
    for nix in Nix::all() {
        let tree = nix.dir().join("tree");
        odd_tree(&tree);
        assert_same(&dump(&tree).0, &nix_dump(&nix, &tree));
    }
}

#[test]
fn a_file_an_executable_a_symlink_and_an_empty_folder_pack_as_roots() {
    for nix in Nix::all() {
        let at = |name: &str| nix.dir().join(name);
        write(&at("file"), b"contents", false);
        write(&at("executable"), b"contents", true);
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["file", "executable", "link", "folder"] {
            assert_same(&dump(&at(name)).0, &nix_dump(&nix, &at(name)));
        }
    }
}

#[test]
fn the_hash_of_what_is_packed_is_the_hash_that_nix_records() {
    for nix in Nix::all() {
        let tree = nix.dir().join("tree");
        odd_tree(&tree);
        let path = nix.store_dir().display(&nix.add(&tree));
        let mut hashing = Sha256Writer::new(std::io::sink());
        nar::dump(Path::new(&path), &mut hashing, DumpOptions::default()).unwrap();
        let hashed = hashing.finish();
        let recorded = nix.text("nix-store", ["--query", "--hash", &path]);
        assert_eq!(NarHash::from_bytes(hashed.sha256).to_string(), recorded);
        assert_eq!(
            hashed.len.to_string(),
            nix.text("nix-store", ["--query", "--size", &path])
        );
    }
}

/// A text without each occurrence of `part`.
fn without(text: &[u8], part: &[u8]) -> Vec<u8> {
    let mut left = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(part.len()).position(|window| window == part) {
        left.extend_from_slice(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    left.extend_from_slice(rest);
    left
}

#[test]
fn the_listing_is_the_one_that_nix_writes() {
    for nix in Nix::all() {
        let tree = nix.dir().join("tree");
        odd_tree(&tree);
        // Newer ones sort the fields, and write no listing of names that are no UTF-8.
        let oldest = nix.number() < (2, 9);
        if !oldest {
            fs::remove_file(odd(&tree, b"bad\xff\xfe")).unwrap();
            fs::remove_file(tree.join("odd link")).unwrap();
        }
        fs::create_dir(nix.dir().join("empty")).unwrap();
        write(&nix.dir().join("file"), b"x", true);
        std::os::unix::fs::symlink("file", nix.dir().join("link")).unwrap();
        for root in ["tree", "empty", "file", "link"] {
            let store_path = nix.add(&nix.dir().join(root));
            let path = nix.store_dir().display(&store_path);
            let cache = nix.copy_to_cache(&[&path], "&compression=none");
            let theirs = fs::read(cache.join(format!("{}.ls", store_path.hash_part()))).unwrap();
            let (nar, packed) = dump(Path::new(&path));
            if oldest {
                // It writes nothing of files that are not executable.
                let ours = packed.listing.to_json();
                assert_same(&without(&ours, br#","executable":false"#), &theirs);
            }
            assert_eq!(Listing::parse(&theirs).unwrap(), packed.listing);
            assert_eq!(nar::listing_of(nar.as_slice()).unwrap(), packed);
        }
    }
}

#[test]
fn what_is_restored_packs_the_same_again_and_as_nix_restores_it() {
    for nix in Nix::all() {
        let tree = nix.dir().join("tree");
        odd_tree(&tree);
        let (nar, _) = dump(&tree);
        let ours = nix.dir().join("ours");
        let size = nar::restore(nar.as_slice(), &ours, RestoreOptions::default()).unwrap();
        assert_eq!(size, nar.len() as u64);
        assert_same(&dump(&ours).0, &nar);
        let theirs = nix.dir().join("theirs");
        nix.run_with_input("nix-store", [OsStr::new("--restore"), theirs.as_os_str()], &nar);
        assert_same(&dump(&theirs).0, &nar);
        assert_same(&nix_dump(&nix, &ours), &nar);
    }
}

#[test]
fn a_tree_deeper_than_open_files_allow_packs_and_unpacks() {
    for nix in Nix::all() {
        let tree = nix.dir().join("tree");
        // Short names, so that Nix, which goes by path, can follow.
        let deep = (0..1500).fold(tree.clone(), |path, _| path.join("d"));
        fs::create_dir_all(&deep).unwrap();
        write(&deep.join("bottom"), b"deep", false);
        write(&tree.join("e"), b"after", false);
        let (nar, packed) = dump(&tree);
        // Newer ones take minutes for that, and the newest go no deeper than 64 folders.
        if nix.number() < (2, 9) {
            assert_same(&nar, &nix_dump(&nix, &tree));
        }
        assert_eq!(Listing::parse(&packed.listing.to_json()).unwrap(), packed.listing);
        let again = nix.dir().join("again");
        nar::restore(nar.as_slice(), &again, RestoreOptions::default()).unwrap();
        assert_same(&dump(&again).0, &nar);
    }
}

#[test]
fn the_case_hack_is_undone_and_done_as_nix_does_it() {
    for nix in Nix::all() {
        let tree = nix.dir().join("tree");
        fs::create_dir(&tree).unwrap();
        for name in ["a", "A~nix~case~hack~1", "a~x", "B"] {
            write(&tree.join(name), name.as_bytes(), false);
        }
        let hack = DumpOptions { case_hack: true };
        let mut ours = Vec::new();
        nar::dump(&tree, &mut ours, hack).unwrap();
        let dump_as_mac = [OsStr::new("--option"), "use-case-hack".as_ref(), "true".as_ref()];
        let dump_as_mac = dump_as_mac
            .into_iter()
            .chain(["--dump".as_ref(), tree.as_os_str()]);
        assert_same(&ours, &nix.run("nix-store", dump_as_mac));

        let restored = nix.dir().join("restored");
        nar::restore(ours.as_slice(), &restored, RestoreOptions { case_hack: true }).unwrap();
        assert!(
            restored.join("a~nix~case~hack~1").exists(),
            "'A' sorts first and keeps its name"
        );
        let mut again = Vec::new();
        nar::dump(&restored, &mut again, hack).unwrap();
        assert_same(&again, &ours);

        write(&tree.join("a~nix~case~hack~2"), b"", false);
        let error = nar::dump(&tree, std::io::sink(), hack).unwrap_err();
        assert!(matches!(error, nar::DumpError::CaseHackCollision(_)), "{error}");

        fs::remove_file(tree.join("a~nix~case~hack~2")).unwrap();
        for name in ["~nix~case~hack~1", ".~nix~case~hack~1", "..~nix~case~hack~1"] {
            write(&tree.join(name), b"", false);
        }
        let mut kept = Vec::new();
        nar::dump(&tree, &mut kept, hack).unwrap();
        assert!(
            nar::listing_of(kept.as_slice()).is_ok(),
            "no suffix is cut where no name would be left"
        );
    }
}
