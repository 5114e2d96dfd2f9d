//! Realisations and build traces: as real Nix up to 2.34 writes them, and as the test data of newer Nix has them.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Nix, build, nix_secret_key};
use niks3_nix::{
    realisation::{BuildTraceEntry, BuildTraceKey, DrvOutput, OutputName, Realisation, RealisationError},
    signature::SecretKey,
};

const ID: &str = "sha256:15e3c560894cbb27085cf65b5a2ecb18488c999497f4531b6907a7581ce6d527!foo";
const ZERO_SIGNATURE: &str =
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

/// Builds content-addressed derivations, of which the second needs the first, signed if there is a key.
fn nix_realisations(nix: &Nix) -> Vec<(String, String)> {
    let built = build(
        nix,
        r#"let
             ca = { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
             first = sh "first" "echo first > $out" ca;
           in sh "second" "echo ${first} > $out; echo > $dev" (ca // { outputs = [ "out" "dev" ]; })"#,
    );
    let cache = nix.dir().join("cache");
    let to = format!("file://{}", cache.display());
    let derivation = nix.text("nix-store", ["--query", "--deriver", &built[0]]);
    nix.run("nix", ["copy", "--to", &to, &nix.outputs_of(&derivation)]);
    fs::read_dir(cache.join("realisations"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn a_realisation_of_nix_is_written_again_byte_for_byte_under_its_key() {
    for nix in Nix::all() {
        let realisations = nix_realisations(&nix);
        assert_eq!(realisations.len(), 2, "{realisations:?}");
        for (name, json) in realisations {
            let realisation = Realisation::parse(json.as_bytes()).unwrap();
            assert_eq!(realisation.to_json(), json);
            assert_eq!(realisation.cache_key(), format!("realisations/{name}"));
        }
    }
}

#[test]
fn a_realisation_that_nix_signed_verifies() {
    for nix in Nix::all() {
        let secret = nix_secret_key(&nix, "test-1");
        let key_file = nix.dir().join("key");
        fs::write(&key_file, &secret).unwrap();
        fs::create_dir(nix.dir().join("etc")).unwrap();
        let config = format!("secret-key-files = {}\n", key_file.display());
        fs::write(nix.dir().join("etc/nix.conf"), config).unwrap();
        let key: SecretKey = secret.parse().unwrap();
        let mut signed = 0;
        for (_, json) in nix_realisations(&nix) {
            let theirs = Realisation::parse(json.as_bytes()).unwrap();
            for signature in theirs.signatures() {
                assert!(
                    key.public_key()
                        .verify(theirs.fingerprint().as_bytes(), signature),
                    "{json}"
                );
                signed += 1;
            }
            let mut ours = theirs.clone();
            ours.sign(&key);
            assert_eq!(ours, theirs, "signing again changes nothing");
        }
        assert!(signed > 0);
    }
}

#[test]
fn both_forms_of_signatures_are_read_and_dependent_realisations_kept() {
    let text = format!(
        r#"{{"dependentRealisations":{{"{ID}":"g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-dep"}},"id":"{ID}","outPath":"g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo","signatures":["asdf:{ZERO_SIGNATURE}"]}}"#
    );
    let realisation = Realisation::parse(text.as_bytes()).unwrap();
    assert_eq!(realisation.to_json(), text);
    assert_eq!(realisation.dependent_realisations().len(), 1);
    let object = format!(r#"{{"keyName":"asdf","sig":"{ZERO_SIGNATURE}"}}"#);
    let structured = text.replace(&format!("\"asdf:{ZERO_SIGNATURE}\""), &object);
    assert_eq!(Realisation::parse(structured.as_bytes()).unwrap(), realisation);
    let (unsigned, _) = text.split_once(",\"signatures\"").unwrap();
    assert_eq!(realisation.fingerprint(), format!("{unsigned}}}"));
    let bare = format!(r#"{{"id":"{ID}","outPath":"{}"}}"#, realisation.out_path());
    assert!(
        Realisation::parse(bare.as_bytes())
            .unwrap()
            .signatures()
            .is_empty()
    );
}

#[test]
fn a_build_trace_is_that_of_the_test_data_of_nix() {
    let key: BuildTraceKey = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar.drv^foo".parse().unwrap();
    assert_eq!(
        key.cache_key(),
        "build-trace-v2/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar.drv/foo.doi"
    );
    let file = format!(
        r#"{{
          "outPath": "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv",
          "signatures": [ {{ "keyName": "asdf", "sig": "{ZERO_SIGNATURE}" }} ]
        }}"#
    );
    let entry = BuildTraceEntry::parse(file.as_bytes()).unwrap();
    let compact: String = file.split_whitespace().collect();
    assert_eq!(entry.to_json(), compact);
    assert_eq!(
        key.fingerprint(entry.out_path()),
        r#"{"key":{"drvPath":"g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar.drv","outputName":"foo"},"value":{"outPath":"g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv"}}"#
    );
    let old = file.replace(
        &format!(r#"{{ "keyName": "asdf", "sig": "{ZERO_SIGNATURE}" }}"#),
        &format!("\"asdf:{ZERO_SIGNATURE}\""),
    );
    assert_eq!(BuildTraceEntry::parse(old.as_bytes()).unwrap(), entry);

    let signer = SecretKey::generate("ours-1", [3; 32]).unwrap();
    let mut signed = BuildTraceEntry::new(entry.out_path().clone());
    signed.sign(&key, &signer);
    let message = key.fingerprint(entry.out_path());
    assert!(
        signer
            .public_key()
            .verify(message.as_bytes(), signed.signatures().first().unwrap())
    );
}

#[test]
fn names_of_outputs_are_checked() {
    let id: DrvOutput = ID.parse().unwrap();
    assert_eq!(id.to_string(), ID);
    assert_eq!(id.output().as_str(), "foo");
    let base32 = "sha256:1impfw8zdgisxkghq9a3q7cn7jb9zyzgxdydiamp8z2nlyyl0h5h!out";
    assert!(
        base32
            .parse::<DrvOutput>()
            .unwrap()
            .to_string()
            .starts_with("sha256:")
    );
    for wrong in ["", "out", "../out", "a/b", "a!b", "a b", ".", ".."] {
        let (hash, _) = ID.split_once('!').unwrap();
        let good = wrong == "out";
        assert_eq!(
            format!("{hash}!{wrong}").parse::<DrvOutput>().is_ok(),
            good,
            "{wrong}"
        );
        assert_eq!(wrong.parse::<OutputName>().is_ok(), good, "{wrong}");
    }
    for wrong in [
        "",
        "!",
        "!out",
        "sha256:!out",
        "sha1:4r5ydj35ihv5j9mzqvvlk3x2zmb5rqaz!out",
    ] {
        assert!(wrong.parse::<DrvOutput>().is_err(), "{wrong}");
    }
    let path = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar";
    assert!(matches!(
        format!("{path}^out").parse::<BuildTraceKey>(),
        Err(RealisationError::NotADerivation(_))
    ));
}

#[test]
fn what_is_no_realisation_is_refused() {
    for wrong in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"outPath":"x"}"#,
        r#"{"id":1,"outPath":2}"#,
    ] {
        assert!(Realisation::parse(wrong.as_bytes()).is_err(), "{wrong}");
        assert!(BuildTraceEntry::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let long = " ".repeat(2 << 20);
    assert!(matches!(
        Realisation::parse(long.as_bytes()),
        Err(RealisationError::TooLong(_))
    ));
    let deep = "[".repeat(100_000);
    let error = Realisation::parse(deep.as_bytes()).unwrap_err();
    assert!(
        error.to_string().starts_with("not the JSON of a realisation: "),
        "{error}"
    );
}
