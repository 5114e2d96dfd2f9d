//! What the fuzz target runs, on stable Rust: noise, and policies that are right with a few bytes changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics"
)]

#[path = "../fuzz/src/entries.rs"]
#[allow(unreachable_pub)]
mod entries;

use proptest::{collection::vec, prelude::*};

const POLICY: &str = r#"{ "version": 1, "default": "30d", "undo": 0, "quota": "500GiB", "max_release": 25, "rules": [
{ "name": "releases", "tags": ["v*"], "keep": "forever" },
{ "name": "pulls", "pull_requests": true, "keep": { "for": "7d", "until_closed": true } },
{ "name": "a", "repositories": ["o/*", "id:17"], "branches": "main", "roots": ["*-debug"],
  "keep": { "last": 5, "idle": "1h30m" } } ] }"#;

fn run_all(bytes: &[u8]) {
    for (_, entry) in entries::ALL {
        entry(bytes);
    }
}

#[test]
fn a_right_policy_cut_anywhere_does_no_harm() {
    niks3_retention::Policy::parse(POLICY).unwrap();
    for length in 0..=POLICY.len() {
        run_all(&POLICY.as_bytes()[..length]);
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
    fn a_right_policy_with_some_bytes_changed_does_no_harm(
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6),
    ) {
        let mut text = POLICY.as_bytes().to_vec();
        for (index, byte, how) in changes {
            let at = index.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text[at] ^= 1 << (byte % 8),
                2 => { text.remove(at); }
                _ => text.insert(at, byte),
            }
        }
        run_all(&text);
    }
}
