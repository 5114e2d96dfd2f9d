//! Keys are read and written as Nix does it, and never shown by accident.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Nix, nix_secret_key};
use niks3_nix::signature::{KeyError, PublicKey, SecretKey, Signature};

#[test]
fn a_key_of_nix_is_read_and_its_public_half_is_the_one_nix_derives() {
    for nix in Nix::all() {
        let secret = nix_secret_key(&nix, "cache.example.org-1");
        let key: SecretKey = secret.parse().unwrap();
        let public = nix.run_with_input("nix", ["key", "convert-secret-to-public"], secret.as_bytes());
        assert_eq!(key.public_key().to_string().as_bytes(), public.trim_ascii());
        assert_eq!(*key.to_secret_string(), secret);
        assert_eq!(
            format!("{secret}\n").parse::<SecretKey>().unwrap().name(),
            "cache.example.org-1"
        );
    }
}

#[test]
fn a_key_generated_here_is_one_that_nix_takes() {
    for nix in Nix::all() {
        let key = SecretKey::generate("here-1", [42; 32]).unwrap();
        let args = ["key", "convert-secret-to-public"];
        let public = nix.run_with_input("nix", args, key.to_secret_string().as_bytes());
        assert_eq!(public.trim_ascii(), key.public_key().to_string().as_bytes());
    }
}

#[test]
fn a_secret_key_is_not_shown_by_debug_nor_by_errors() {
    let key = SecretKey::generate("k", [1; 32]).unwrap();
    let secret = key.to_secret_string();
    let (_, encoded) = secret.split_once(':').unwrap();
    assert_eq!(format!("{key:?}"), "SecretKey(k:…)");
    for wrong in [
        encoded.to_owned(),
        format!("k:{}", &encoded[4..]),
        format!("k:{encoded}!"),
        format!("k:{}", encoded.replace('A', "B")),
    ] {
        let error = wrong.parse::<SecretKey>().unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains(&encoded[4..20]), "{text}");
        }
    }
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut bytes = [1; 64];
    let wrong = format!("k:{}", STANDARD.encode(bytes));
    assert_eq!(
        wrong.parse::<SecretKey>().unwrap_err(),
        KeyError::Mismatch("k".into())
    );
    bytes[32..].fill(0);
    assert!(
        format!("k:{}", STANDARD.encode(bytes))
            .parse::<SecretKey>()
            .is_err()
    );
}

#[test]
fn key_names_are_bounded_and_plain() {
    let long = "k".repeat(257);
    for wrong in ["", "a b", "a\tb", "a\nb", "a\0b", "a\u{a0}b", "a:b", &long] {
        assert!(
            matches!(SecretKey::generate(wrong, [0; 32]), Err(KeyError::Name(_))),
            "{wrong:?}"
        );
        assert!(Signature::new(wrong, [0; 64]).is_err());
    }
    for right in ["a", "cache.nixos.org-1", "schlüssel", &long[1..]] {
        assert!(SecretKey::generate(right, [0; 32]).is_ok(), "{right:?}");
    }
}

#[test]
fn a_signature_counts_for_its_message_its_key_and_its_name_only() {
    let key = SecretKey::generate("a", [1; 32]).unwrap();
    let signature = key.sign(b"message");
    let public = key.public_key();
    assert!(public.verify(b"message", &signature));
    assert!(!public.verify(b"massage", &signature));
    let renamed = Signature::new("b", *signature.bytes()).unwrap();
    assert!(!public.verify(b"message", &renamed));
    let other = SecretKey::generate("a", [2; 32]).unwrap();
    assert!(!other.public_key().verify(b"message", &signature));
    assert_eq!(signature.to_string().parse::<Signature>(), Ok(signature.clone()));
    assert_eq!(public.to_string().parse::<PublicKey>(), Ok(public));
    assert_eq!((signature.key_name(), signature.base64().len()), ("a", 88));
}

#[test]
fn a_public_key_is_no_secret_key() {
    let public = SecretKey::generate("a", [1; 32])
        .unwrap()
        .public_key()
        .to_string();
    assert_eq!(
        public.parse::<SecretKey>().unwrap_err(),
        KeyError::Public("a".into())
    );
}

#[test]
fn what_is_no_key_or_signature_is_refused() {
    for wrong in [
        "",
        ":",
        "k",
        "k:",
        "k:!",
        "k:AAAA",
        ":AAAA",
        &format!("k:{}", "A".repeat(100_000)),
    ] {
        assert!(wrong.parse::<Signature>().is_err(), "{wrong:.20}");
        assert!(wrong.parse::<PublicKey>().is_err(), "{wrong:.20}");
        assert!(wrong.parse::<SecretKey>().is_err(), "{wrong:.20}");
    }
    let signature = SecretKey::generate("k", [1; 32]).unwrap().sign(b"").to_string();
    assert!(format!("{signature}\n").parse::<Signature>().is_err());
    assert!(signature.trim_end_matches('=').parse::<Signature>().is_err());
}
