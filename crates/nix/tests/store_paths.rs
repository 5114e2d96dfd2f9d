//! Store paths are those of Nix: what Nix 2.8 or newer Nix takes is taken, all else is refused.
#![allow(clippy::unwrap_used)]

mod common;

use common::Nix;
use niks3_nix::store_path::{StoreDir, StorePath, StorePathHash};

const HASH: &str = "3n58xw4373jp0ljirf06d8077j15pc4j";

/// What real Nix thinks of a base name: a path that is well formed and absent is "not valid".
fn takes(nix: &Nix, base_name: &str) -> bool {
    let output = nix
        .command("nix-store")
        .args(["--query", "--hash", &format!("{}/{base_name}", nix.store_dir())])
        .output()
        .expect("these tests compare with real Nix, and need 'nix-store'");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("error: "), "{errors}");
    errors.contains("' is not valid")
}

#[test]
fn names_are_taken_as_nix_takes_them() {
    for nix in Nix::all() {
        let long = "x".repeat(211);
        let too_long = "x".repeat(212);
        for name in [
            "a",
            "A+b-._?=9",
            ".hidden",
            "...",
            "a..b",
            "-",
            "=",
            &long,
            &too_long,
            "",
            "a b",
            "a@b",
            "a:b",
            "é",
            "a\\b",
            "a~b",
            "a%b",
            "a,b",
        ] {
            let base_name = format!("{HASH}-{name}");
            assert_eq!(
                base_name.parse::<StorePath>().is_ok(),
                takes(&nix, &base_name),
                "{name:?}"
            );
        }
    }
}

#[test]
fn names_of_dots_are_refused_as_newer_nix_refuses_them() {
    for name in [".", "..", ".-a", "..-a", ".-", "..-"] {
        assert!(format!("{HASH}-{name}").parse::<StorePath>().is_err(), "{name}");
    }
    for name in [".a", "..a", "...", "...-a", "a-.", "a-..", ".a-b"] {
        assert!(format!("{HASH}-{name}").parse::<StorePath>().is_ok(), "{name}");
    }
}

#[test]
fn hash_parts_are_taken_as_nix_takes_them() {
    for nix in Nix::all() {
        for hash in [
            HASH,
            "3n58xw4373jp0ljirf06d8077j15pc4e",
            "3n58xw4373jp0ljirf06d8077j15pc4",
            "3N58xw4373jp0ljirf06d8077j15pc4j",
        ] {
            let base_name = format!("{hash}-a");
            assert_eq!(
                base_name.parse::<StorePath>().is_ok(),
                takes(&nix, &base_name),
                "{hash}"
            );
            assert_eq!(hash.parse::<StorePathHash>().is_ok(), hash == HASH);
        }
    }
    for wrong in [
        "",
        HASH,
        "é",
        &format!("{}é-a", &HASH[..31]),
        &format!("{HASH}x"),
        &format!("{HASH}é"),
    ] {
        assert!(wrong.parse::<StorePath>().is_err(), "{wrong}");
    }
}

#[test]
fn a_store_path_knows_its_parts() {
    let store_dir = StoreDir::default();
    let full = format!("/nix/store/{HASH}-glibc-2.37.drv");
    let path = store_dir.parse(&full).unwrap();
    assert_eq!(path.hash_part(), HASH);
    assert_eq!(path.hash().as_str(), HASH);
    assert_eq!(path.name(), "glibc-2.37.drv");
    assert!(path.is_derivation());
    assert_eq!(store_dir.display(&path), full);
    let inner = format!("{full}/lib/libc.so");
    assert_eq!(
        store_dir.parse_inner(&inner).unwrap(),
        (path.clone(), "lib/libc.so")
    );
    assert_eq!(store_dir.parse_inner(&full).unwrap(), (path.clone(), ""));
    assert!(store_dir.parse(&inner).is_err());
    assert_eq!(serde_json::to_string(&path).unwrap(), format!("\"{path}\""));
    for wrong in [
        "",
        "/nix/store",
        "/nix/store/",
        "/nix/storex/a",
        path.as_str(),
        "nix/store/x",
    ] {
        assert!(store_dir.parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_store_directory_is_absolute_and_normal() {
    for right in [
        "/nix/store",
        "/s",
        "/home/someone/.local/share/nix/root/nix/store",
        "/with space",
    ] {
        assert_eq!(right.parse::<StoreDir>().unwrap().as_str(), right);
    }
    for wrong in [
        "",
        "/",
        "nix/store",
        "/nix/store/",
        "/nix//store",
        "/nix/../store",
        "/nix/./store",
        "/a\nb",
    ] {
        assert!(wrong.parse::<StoreDir>().is_err(), "{wrong}");
    }
    assert!(format!("/{}", "x".repeat(5000)).parse::<StoreDir>().is_err());
}
