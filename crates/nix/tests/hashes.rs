//! Base 32 and hashes agree with `nix hash` and `nix-hash`.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::Nix;
use niks3_nix::{
    base32,
    hash::{FileHash, Hash, HashAlgorithm, HashError, NarHash},
};

#[test]
fn every_form_that_nix_prints_of_a_hash_parses_to_the_same_hash() {
    for nix in Nix::all() {
        let file = nix.dir().join("file");
        fs::write(&file, b"contents").unwrap();
        let file = file.to_str().unwrap();
        for algorithm in ["md5", "sha1", "sha256", "sha512"] {
            let print = |form: &str| nix.text("nix", ["hash", "file", "--type", algorithm, form, file]);
            let hash: Hash = print("--sri").parse().unwrap();
            assert_eq!(hash.algorithm().name(), algorithm);
            assert_eq!(hash.to_sri(), print("--sri"));
            assert_eq!(hash.base32(), print("--base32"));
            assert_eq!(hash.hex(), print("--base16"));
            for form in ["--base16", "--base32", "--base64"] {
                assert_eq!(format!("{algorithm}:{}", print(form)).parse(), Ok(hash));
            }
            assert_eq!(
                nix.text("nix-hash", ["--flat", "--base32", "--type", algorithm, file]),
                hash.base32()
            );
        }
        let sha256 = NarHash::of(b"contents");
        let printed = nix.text("nix", ["hash", "file", "--type", "sha256", "--sri", file]);
        assert_eq!(printed.parse(), Ok(sha256));
        assert_eq!(sha256.to_sri(), printed);
    }
}

#[test]
fn base32_of_nix_decodes_to_the_bytes_it_came_from() {
    for nix in Nix::all() {
        for byte in [0u8, 1, 0x7f, 0x80, 0xff] {
            for length in [16, 20, 32, 64] {
                let bytes: Vec<u8> = (0..length).map(|i| byte.wrapping_add((i * 37) as u8)).collect();
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let algorithm = match length {
                    16 => "md5",
                    20 => "sha1",
                    32 => "sha256",
                    _ => "sha512",
                };
                let theirs = nix.text("nix-hash", ["--to-base32", "--type", algorithm, &hex]);
                assert_eq!(base32::encode(&bytes), theirs);
                assert_eq!(base32::decode(&theirs), Ok(bytes));
            }
        }
    }
}

#[test]
fn base32_that_no_bytes_encode_to_is_refused() {
    for (text, reason) in [
        ("0", "no value is written with 1 characters"),
        ("000", "no value is written with 3 characters"),
        ("0e", "'e' is not in its alphabet"),
        ("0A", "'A' is not in its alphabet"),
        ("é0", "'é' is not in its alphabet"),
        ("80", "bits beyond the last byte are set"),
        ("z0", "bits beyond the last byte are set"),
    ] {
        let error = base32::decode(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(base32::decode(""), Ok(vec![]));
    assert_eq!(base32::decode("7z"), Ok(vec![0xff]));
}

#[test]
fn a_hash_of_the_wrong_form_is_refused_with_the_reason() {
    let zeros = "0".repeat(52);
    for (text, reason) in [
        ("", "expected 'algorithm:digest'"),
        (zeros.as_str(), "expected 'algorithm:digest'"),
        ("sha3:00", "'sha3' is not a hash algorithm"),
        ("SHA256:00", "'SHA256' is not a hash algorithm"),
        ("sha256:00", "wrong length for a sha256 hash"),
        (&format!("sha256-{zeros}"), "wrong length for a sha256 hash"),
        (&format!("sha256:{}e", &zeros[1..]), "in base32"),
        (&format!("sha256:z{}", &zeros[1..]), "in base32"),
        (&format!("sha256:{}", "x".repeat(64)), "in base16"),
        (&format!("sha256-{}", "=".repeat(44)), "in base64"),
        (&format!("sha256:{}", "é".repeat(26)), "in base32"),
    ] {
        let error = text.parse::<Hash>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
    let md5 = Hash::new(HashAlgorithm::Md5, &[0; 16]).unwrap();
    let wrong = HashError::Unexpected {
        expected: HashAlgorithm::Sha256,
        got: HashAlgorithm::Md5,
    };
    assert_eq!(md5.to_string().parse::<NarHash>(), Err(wrong));
    assert!("x".repeat(100_000).parse::<Hash>().unwrap_err().to_string().len() < 300);
}

#[test]
fn hashes_are_strings_in_json_and_the_object_of_newer_nix_is_read() {
    let hash = NarHash::of(b"x");
    let json = serde_json::to_string(&hash).unwrap();
    assert_eq!(json, format!("\"{hash}\""));
    assert_eq!(serde_json::from_str::<NarHash>(&json).unwrap(), hash);
    let sri = hash.to_sri();
    let digest = sri.strip_prefix("sha256-").unwrap();
    let object = format!(r#"{{"algorithm":"sha256","format":"base64","hash":"{digest}"}}"#);
    assert_eq!(serde_json::from_str::<NarHash>(&object).unwrap(), hash);
    assert_eq!(
        FileHash::from_base32(&hash.base32()).unwrap().as_bytes(),
        hash.as_bytes()
    );
    assert!(FileHash::from_base32(&hash.hex()).is_err());
}
