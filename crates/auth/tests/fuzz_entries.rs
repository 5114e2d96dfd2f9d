//! What the fuzz targets run, on stable Rust: noise, and inputs that are right with a few bytes changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics"
)]

#[path = "../fuzz/src/entries.rs"]
#[allow(unreachable_pub)]
mod entries;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::{collection::vec, prelude::*, sample::select};

const RULES: &str = r#"{ "allow_insecure": true, "providers": { "ci": { "issuer": "http://i", "audience": "a",
"key_refetch_seconds": 60, "bound_subject": "x*", "rules": [
{ "bound_claims": { "a.b": ["c", 1, true], "d": "e?" }, "scopes": ["push", "read"], "pins": ["r-*"],
"signing_keys": ["main-1"], "max_pushes": 3, "max_claimed_bytes": "10GiB" } ] } } }"#;
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","key_ops":["verify"],
"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

fn token(header: &str) -> String {
    let claims = r#"{"iss":"i","aud":["a"],"sub":"s","exp":1,"a":{"b":{"c":[1,true,null]}}}"#;
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([7; 64]))
}

fn seeds() -> Vec<Vec<u8>> {
    let right = token(r#"{"alg":"EdDSA","kid":"k","typ":"JWT"}"#);
    [
        token(r#"{"alg":"RS256"}"#),
        format!("Bearer {right}"),
        format!("Basic {}\nf203.0.113.9, 10.0.0.2", STANDARD.encode("x:password")),
        "vSUCCESS\nsCN=ci,O=Example\nf::1".to_owned(),
        right,
        RULES.to_owned(),
        KEYS.to_owned(),
        "*a?b*\nxaxxb".to_owned(),
    ]
    .map(String::into_bytes)
    .into()
}

fn run_all(bytes: &[u8]) {
    for (_, entry) in entries::ALL {
        entry(bytes);
    }
}

#[test]
fn every_seed_passes_and_cut_anywhere_does_no_harm() {
    for seed in seeds() {
        for length in 0..=seed.len() {
            run_all(&seed[..length]);
        }
    }
}

#[test]
fn there_is_a_fuzz_target_for_every_entry() {
    let targets = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/fuzz_targets");
    for (name, _) in entries::ALL {
        let target = std::fs::read_to_string(format!("{targets}/{name}.rs")).unwrap();
        assert!(target.contains(&format!("::target!({name});")), "{name}");
    }
    assert_eq!(std::fs::read_dir(targets).unwrap().count(), entries::ALL.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_does_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        run_all(&bytes);
    }

    #[test]
    fn text_does_no_harm(text in "\\PC{0,80}") {
        run_all(text.as_bytes());
    }

    #[test]
    fn a_header_of_a_token_can_be_anything(header in "\\PC{0,80}", claims in "\\PC{0,80}") {
        let token = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        run_all(token.as_bytes());
    }

    #[test]
    fn a_right_input_with_some_bytes_changed_does_no_harm(
        mut seed in select(seeds()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6),
    ) {
        for (index, byte, how) in changes {
            let at = index.index(seed.len().max(1)).min(seed.len().saturating_sub(1));
            match how {
                0 if !seed.is_empty() => seed[at] = byte,
                1 if !seed.is_empty() => seed[at] ^= 1 << (byte % 8),
                2 if !seed.is_empty() => { seed.remove(at); }
                _ => seed.insert(at, byte),
            }
        }
        run_all(&seed);
    }
}
