//! Realisations in both forms: by the hash of the derivation (Nix up to 2.34) and
//! by its path (the build trace of Nix 2.35).

use niks3_nix::realisation::{BuildTraceEntry, BuildTraceKey, OutputName, Realisation};
use niks3_nix::store_path::StorePath;

use crate::signing::{KeyChoice, Signer};

/// Prefix of the older form's keys.
const BY_HASH: &str = "realisations/";
/// Prefix of the newer form's keys.
const BY_PATH: &str = "build-trace-v2/";

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
