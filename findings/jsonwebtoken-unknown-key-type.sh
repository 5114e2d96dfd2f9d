#!/usr/bin/env bash
# Part: jsonwebtoken 10.4.0 (crates.io)
# One key of a kind that jsonwebtoken 10 does not know makes the whole key set of an issuer unreadable.
#
# One would guess that the other keys of a JwkSet can still be used: RFC 7517 says that keys of unknown types should be ignored, and
# the crate does take unknown values of `alg`. A key of type AKP (ML-DSA), or on the curves Ed448 or secp256k1, fails the set.
# Version 11.1.0 reads them.
# On the day that an issuer adds a post-quantum key, every token that is signed with its RSA key is refused.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "jsonwebtoken 10.4.0"
guess "each set has its RSA key"
result=$(run_rust 'jsonwebtoken = { version = "=10.4.0", default-features = false }
serde_json = "1"' <<'END'
use jsonwebtoken::jwk::JwkSet;

fn main() {
    let rsa = r#"{"kty":"RSA","kid":"rsa","n":"AA","e":"AQAB"}"#;
    for (name, other) in [
        ("unknown alg", r#"{"kty":"RSA","kid":"x","n":"AA","e":"AQAB","alg":"NEW256"}"#),
        ("AKP", r#"{"kty":"AKP","kid":"x","pub":"AA","alg":"ML-DSA-65"}"#),
        ("Ed448", r#"{"kty":"OKP","kid":"x","x":"AA","crv":"Ed448"}"#),
        ("secp256k1", r#"{"kty":"EC","kid":"x","x":"AA","y":"AA","crv":"secp256k1"}"#),
    ] {
        match serde_json::from_str::<JwkSet>(&format!(r#"{{"keys":[{rsa},{other}]}}"#)) {
            Ok(set) => println!("with {name}: RSA key found: {}", set.find("rsa").is_some()),
            Err(error) => println!("with {name}: {}", error.to_string().split(" at ").next().unwrap()),
        }
    }
}
END
)
seen "$result"
error="data did not match any variant of untagged enum AlgorithmParameters"
holds "$result" = "with unknown alg: RSA key found: true
with AKP: $error
with Ed448: $error
with secp256k1: $error"
