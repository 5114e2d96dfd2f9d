//! Realisations, by the hash of a derivation and by its path.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::narinfo::is_base_name;

/// What a realisation says.
#[derive(Debug)]
pub struct Realisation {
    /// Base name of the output path.
    pub out_path: String,
    /// The text that is signed.
    pub fingerprint: String,
    /// Signatures.
    pub signatures: Vec<String>,
}

fn signatures(json: &Value) -> Option<Vec<String>> {
    let Some(all) = json.get("signatures") else {
        return Some(Vec::new());
    };
    all.as_array()?
        .iter()
        .map(|signature| match signature {
            Value::String(text) => Some(text.clone()),
            // As Nix writes them since 2.35.
            _ => Some(format!(
                "{}:{}",
                signature.get("keyName")?.as_str()?,
                signature.get("sig")?.as_str()?
            )),
        })
        .collect()
}

fn is_output(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Reads the object under a key of either form.
pub fn parse(key: &str, body: &[u8]) -> Result<Realisation, String> {
    let json: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let out_path = json.get("outPath").and_then(Value::as_str);
    let out_path = out_path
        .filter(|path| is_base_name(path))
        .ok_or("'outPath' is not the base name of a store path")?;
    let signatures = signatures(&json).ok_or("'signatures' are not signatures")?;
    let name = key.strip_suffix(".doi").ok_or("its name does not end in .doi")?;
    let fingerprint = if let Some(id) = name.strip_prefix("realisations/") {
        let output = id
            .strip_prefix("sha256:")
            .and_then(|rest| rest.split_once('!'))
            .filter(|(hash, output)| {
                let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                hash.len() == 64 && hash.bytes().all(digits) && is_output(output)
            });
        if output.is_none() || json.get("id").and_then(Value::as_str) != Some(id) {
            return Err("'id' is not what its name says".to_owned());
        }
        // Sorted, however the map in `serde_json` is.
        let dependent = json.get("dependentRealisations").and_then(Value::as_object);
        let dependent: BTreeMap<String, Value> = dependent
            .into_iter()
            .flatten()
            .map(|(name, path)| (name.clone(), path.clone()))
            .collect();
        let dependent = serde_json::to_string(&dependent).map_err(|error| error.to_string())?;
        format!(
            "{{\"dependentRealisations\":{dependent},\"id\":{},\"outPath\":{}}}",
            quoted(id),
            quoted(out_path)
        )
    } else {
        let (drv, output) = name
            .strip_prefix("build-trace-v2/")
            .and_then(|rest| rest.split_once('/'))
            .filter(|(drv, output)| is_base_name(drv) && drv.ends_with(".drv") && is_output(output))
            .ok_or("its name is not that of a derivation and an output")?;
        format!(
            "{{\"key\":{{\"drvPath\":{},\"outputName\":{}}},\"value\":{{\"outPath\":{}}}}}",
            quoted(drv),
            quoted(output),
            quoted(out_path)
        )
    };
    Ok(Realisation {
        out_path: out_path.to_owned(),
        fingerprint,
        signatures,
    })
}
