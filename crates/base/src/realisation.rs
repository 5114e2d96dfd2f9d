//! Realisations in both forms: by the hash of the derivation (Nix up to 2.34) and
//! by its path (the build trace of Nix 2.35).

use niks3_nix::realisation::{BuildTraceEntry, BuildTraceKey, OutputName, Realisation};
use niks3_nix::store_path::StorePath;

use crate::signing::{KeyChoice, Signer};

/// Prefix of the older form's keys.
const BY_HASH: &str = "realisations/";
/// Prefix of the newer form's keys.
const BY_PATH: &str = "build-trace-v2/";
/// Most signatures of a realisation to which others are added.
const MAX_ADDED_TO: usize = 16;

/// Key and JSON of a realisation in the older form.
///
/// # Errors
/// When the JSON is not that of this output and path.
pub fn by_hash(id: &str, path: &StorePath, body: &str) -> Result<(String, String), String> {
    let realisation = Realisation::parse(body.as_bytes()).map_err(|error| error.to_string())?;
    if realisation.id().to_string() != id || realisation.out_path() != path {
        return Err(format!(
            "the realisation is not that of {id} with the path {path}"
        ));
    }
    // Nix 2.26 dies of a dependent realisation that the cache lacks, Nix 2.34 checks signatures
    // as if there were none, and no reader needs them: they are left out, and what signed them too.
    let mut published = Realisation::new(realisation.id().clone(), path.clone());
    if realisation.dependent_realisations().is_empty() {
        for signature in realisation.signatures() {
            published.add_signature(signature.clone());
        }
    }
    Ok((published.cache_key(), published.to_json()))
}

/// Key and JSON of a realisation in the newer form.
///
/// # Errors
/// When `drv` is no derivation or `output` no name of an output.
pub fn by_path(drv: &StorePath, output: &str, path: &StorePath) -> Result<(String, String), String> {
    let output: OutputName = output
        .parse()
        .map_err(|error: niks3_nix::realisation::RealisationError| error.to_string())?;
    let key = BuildTraceKey::new(drv.clone(), output).map_err(|error| error.to_string())?;
    Ok((key.cache_key(), BuildTraceEntry::new(path.clone()).to_json()))
}

/// A realisation of the older form with the signatures that another of the same path brings besides, while there is room;
/// nothing when none is new. The newer form is published with our signatures alone.
#[must_use]
pub fn with_signatures(body: &str, other: &str) -> Option<String> {
    if body == other {
        return None;
    }
    let mut realisation = Realisation::parse(body.as_bytes()).ok()?;
    let other = Realisation::parse(other.as_bytes()).ok()?;
    if realisation.id() != other.id() || realisation.out_path() != other.out_path() {
        return None;
    }
    let before = realisation.signatures().len();
    for signature in other.signatures() {
        if realisation.signatures().len() < MAX_ADDED_TO {
            realisation.add_signature(signature.clone());
        }
    }
    (realisation.signatures().len() > before).then(|| realisation.to_json())
}

/// Whether an object under a key of either form says the same as another, however it is written.
#[must_use]
pub fn says(key: &str, text: &[u8], expected: &str) -> bool {
    if text == expected.as_bytes() {
        return true;
    }
    if key.starts_with(BY_HASH) {
        Realisation::parse(text).is_ok_and(|found| found.to_json() == expected)
    } else {
        BuildTraceEntry::parse(text).is_ok_and(|found| found.to_json() == expected)
    }
}

/// The object under a key of either form, with the signatures of some of our keys.
///
/// # Errors
/// When key or JSON are not what the functions above made.
pub fn signed(signer: &Signer, keys: &KeyChoice, key: &str, body: &str) -> Result<String, String> {
    if key.starts_with(BY_HASH) {
        let mut realisation = Realisation::parse(body.as_bytes()).map_err(|error| error.to_string())?;
        signer.sign_realisation(keys, &mut realisation);
        return Ok(realisation.to_json());
    }
    let (drv, output) = key
        .strip_prefix(BY_PATH)
        .and_then(|rest| rest.strip_suffix(".doi"))
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(|| format!("{key} is not the key of a realisation"))?;
    let drv: StorePath = drv.parse().map_err(|_| format!("{key} names no derivation"))?;
    let output: OutputName = output.parse().map_err(|_| format!("{key} names no output"))?;
    let trace = BuildTraceKey::new(drv, output).map_err(|error| error.to_string())?;
    let mut entry = BuildTraceEntry::parse(body.as_bytes()).map_err(|error| error.to_string())?;
    signer.sign_build_trace(keys, &trace, &mut entry);
    Ok(entry.to_json())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

    use niks3_nix::signature::SecretKey;

    use super::*;

    const DRV: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar.drv";
    const OUT: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo";

    fn path(name: &str) -> StorePath {
        name.parse().unwrap()
    }

    fn id() -> String {
        format!("sha256:{}!out", "ab".repeat(32))
    }

    fn keys() -> [SecretKey; 2] {
        [("ours-1", 1), ("ours-2", 2)].map(|(name, byte)| SecretKey::generate(name, [byte; 32]).unwrap())
    }

    fn body(dependent: &str, signatures: &str) -> String {
        let id = id();
        format!(
            r#"{{"dependentRealisations":{{{dependent}}},"id":"{id}","outPath":"{OUT}","signatures":[{signatures}]}}"#
        )
    }

    #[test]
    fn a_build_trace_entry_lies_under_its_derivation_and_output_and_holds_only_the_value() {
        let (key, body) = by_path(&path(DRV), "dev", &path(OUT)).unwrap();
        assert_eq!(key, format!("build-trace-v2/{DRV}/dev.doi"));
        assert_eq!(body, format!(r#"{{"outPath":"{OUT}","signatures":[]}}"#));
        for (drv, output) in [(OUT, "out"), (DRV, ""), (DRV, "a/b"), (DRV, "../../x")] {
            by_path(&path(drv), output, &path(OUT)).unwrap_err();
        }
    }

    #[test]
    fn each_chosen_key_signs_a_build_trace_entry_over_key_and_value() {
        let signer = Signer::new(keys().into());
        let (key, body) = by_path(&path(DRV), "out", &path(OUT)).unwrap();
        let message =
            format!(r#"{{"key":{{"drvPath":"{DRV}","outputName":"out"}},"value":{{"outPath":"{OUT}"}}}}"#);
        let text = signed(&signer, &KeyChoice::All, &key, &body).unwrap();
        let entry = BuildTraceEntry::parse(text.as_bytes()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["signatures"][0]["keyName"], "ours-1");
        assert_eq!(entry.out_path(), &path(OUT));
        assert_eq!(entry.signatures().len(), 2);
        for secret in keys() {
            let public = secret.public_key();
            let verifies = |signature| public.verify(message.as_bytes(), signature);
            assert_eq!(
                entry
                    .signatures()
                    .iter()
                    .filter(|signature| verifies(signature))
                    .count(),
                1
            );
        }
        let one = KeyChoice::Only(["ours-2".to_owned()].into());
        let text = signed(&signer, &one, &key, &body).unwrap();
        assert!(text.contains("ours-2") && !text.contains("ours-1"), "{text}");
    }

    #[test]
    fn a_realisation_is_that_of_the_id_and_the_path_named() {
        let (key, published) = by_hash(&id(), &path(OUT), &body("", "")).unwrap();
        assert_eq!(key, format!("realisations/{}.doi", id()));
        assert_eq!(published, body("", ""));
        by_hash(&id().replace("!out", "!dev"), &path(OUT), &body("", "")).unwrap_err();
        by_hash(&id(), &path(DRV), &body("", "")).unwrap_err();
        by_hash(&id(), &path(OUT), "{").unwrap_err();
    }

    #[test]
    fn dependent_realisations_are_left_out_with_what_signed_them() {
        let signature = keys()[0].sign(b"x").to_string();
        let signature = format!("\"{signature}\"");
        let dependent = format!(r#""sha256:{}!out":"{OUT}""#, "cd".repeat(32));
        let (_, published) = by_hash(&id(), &path(OUT), &body(&dependent, &signature)).unwrap();
        assert_eq!(published, body("", ""));
        let (key, published) = by_hash(&id(), &path(OUT), &body("", &signature)).unwrap();
        assert_eq!(published, body("", &signature));
        let text = signed(&Signer::new(keys().into()), &KeyChoice::All, &key, &published).unwrap();
        let realisation = Realisation::parse(text.as_bytes()).unwrap();
        let public = keys()[1].public_key();
        let message = body("", "").replace(",\"signatures\":[]", "");
        let verifies = |signature| public.verify(message.as_bytes(), signature);
        assert!(realisation.signatures().iter().any(verifies));
    }

    #[test]
    fn a_realisation_gains_signatures_of_the_same_path_while_there_is_room() {
        let signatures: Vec<String> = (0..20)
            .map(|i| format!("\"k{i:02}:{}==\"", "A".repeat(86)))
            .collect();
        let one = body("", &signatures[0]);
        let both = body("", &signatures[..2].join(","));
        assert_eq!(with_signatures(&one, &both), Some(both.clone()));
        assert_eq!(with_signatures(&both, &one), None);
        let all = with_signatures(&one, &body("", &signatures.join(","))).unwrap();
        assert_eq!(
            Realisation::parse(all.as_bytes()).unwrap().signatures().len(),
            MAX_ADDED_TO
        );
        let other = both.replace(OUT, &OUT.replace("foo", "bar"));
        assert_eq!(with_signatures(&one, &other), None);
        let entry = BuildTraceEntry::new(path(OUT)).to_json();
        assert_eq!(with_signatures(&entry, &one), None);
    }

    #[test]
    fn what_is_no_key_of_a_realisation_is_not_signed() {
        let signer = Signer::new(keys().into());
        let entry = BuildTraceEntry::new(path(OUT)).to_json();
        for key in [
            "nar/x".to_owned(),
            format!("build-trace-v2/{DRV}.doi"),
            format!("build-trace-v2/{OUT}/out.doi"),
            format!("build-trace-v2/{DRV}/out"),
        ] {
            signed(&signer, &KeyChoice::All, &key, &entry).unwrap_err();
        }
    }
}
