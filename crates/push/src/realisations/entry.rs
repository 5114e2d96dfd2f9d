//! What Nix prints of a realisation, up to 2.34 and later.

use std::collections::BTreeMap;

use niks3_client::types;
use niks3_nix::realisation::{DrvOutput, Realisation};
use serde::Deserialize;

use crate::path_info::MAX_SIGNATURES;

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    #[serde(rename_all = "camelCase")]
    ById {
        id: DrvOutput,
        out_path: String,
        #[serde(default)]
        dependent_realisations: BTreeMap<String, serde_json::Value>,
        #[serde(default)]
        signatures: Vec<serde_json::Value>,
    },
    Keyed {
        key: Key,
        value: Value,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    drv_path: String,
    output_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    out_path: String,
}

/// What Nix printed of one realisation; `None` for what is none.
pub(super) fn realisation(entry: &serde_json::Value) -> Option<types::Realisation> {
    let base_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    match Entry::deserialize(entry).ok()? {
        Entry::ById {
            id,
            out_path,
            dependent_realisations,
            signatures,
        } => {
            let path = base_name(&out_path);
            let mut body = Realisation::new(id.clone(), path.parse().ok()?);
            // No cache publishes dependent realisations; what was signed together with them is no longer signed.
            if dependent_realisations.is_empty() {
                // Nix keeps whatever a cache said were signatures.
                let signatures = signatures.iter().filter_map(|text| text.as_str()?.parse().ok());
                for signature in signatures.take(MAX_SIGNATURES) {
                    body.add_signature(signature);
                }
            }
            Some(types::Realisation {
                output: id.output().as_str().try_into().ok()?,
                path,
                drv: None,
                id: Some(id.to_string()),
                body: Some(body.to_json()),
            })
        }
        Entry::Keyed { key, value } => Some(types::Realisation {
            output: key.output_name.try_into().ok()?,
            path: base_name(&value.out_path),
            drv: Some(base_name(&key.drv_path)),
            id: None,
            body: None,
        }),
    }
}

/// The base name of the output that Nix printed something of: a realisation, or the path alone where nothing has to be
/// known to find it.
pub(super) fn output_path(entry: &serde_json::Value) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Opaque {
        opaque_path: String,
    }
    if let Some(realisation) = realisation(entry) {
        return Some(realisation.path);
    }
    let path = Opaque::deserialize(entry).ok()?.opaque_path;
    let name = path.rsplit('/').next()?;
    let is_output = !name.ends_with(".drv");
    is_output.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRV: &str = "qmbahbhry8m0vkap5kcvsn6gipwhc221-catop.drv";
    const OUT: &str = "jk4ljndxvdhk7k17j9rbgripipm84sk5-catop";

    #[test]
    fn realisations_are_read_as_old_and_new_nix_print_them() {
        let id = format!("sha256:{}!out", "2c".repeat(32));
        let old = serde_json::json!({
            "dependentRealisations": {}, "id": id, "outPath": OUT, "signatures": [],
        });
        let read = realisation(&old).unwrap();
        assert_eq!(
            (read.path.as_str(), read.output.as_str(), read.drv.as_deref()),
            (OUT, "out", None)
        );
        assert_eq!(read.id.as_deref(), Some(id.as_str()));
        assert_eq!(read.body, Some(old.to_string()));
        let new = serde_json::json!({
            "key": { "drvPath": DRV, "outputName": "dev" }, "value": { "outPath": OUT, "signatures": [] },
        });
        let read = realisation(&new).unwrap();
        assert_eq!(
            (read.path.as_str(), read.output.as_str(), read.drv.as_deref()),
            (OUT, "dev", Some(DRV))
        );
        let opaque = serde_json::json!({ "opaquePath": OUT });
        assert!(realisation(&opaque).is_none());
        assert_eq!(output_path(&opaque).as_deref(), Some(OUT));
        assert_eq!(output_path(&new).as_deref(), Some(OUT));
        assert_eq!(output_path(&serde_json::json!({ "opaquePath": DRV })), None);
    }

    #[test]
    fn what_every_version_of_nix_prints_is_understood() {
        for version in ["2.8", "2.26", "2.34"] {
            let path = format!(
                "{}/tests/fixtures/path-info/{version}-realisations.json",
                env!("CARGO_MANIFEST_DIR")
            );
            let json = std::fs::read(&path).unwrap();
            let entries: Vec<serde_json::Value> = serde_json::from_slice(&json).unwrap();
            let read: Vec<_> = entries.iter().filter_map(realisation).collect();
            assert_eq!(read.len(), entries.len(), "{version}");
            assert!(
                read.iter().all(|read| read.id.is_some() && read.body.is_some()),
                "{version}"
            );
        }
    }

    #[test]
    fn signatures_that_are_none_or_no_longer_hold_are_left_out() {
        let signature = format!("k-1:{}==", "A".repeat(86));
        let of = |dependent: serde_json::Value| {
            let entry = serde_json::json!({
                "dependentRealisations": dependent, "id": format!("sha256:{}!out", "2c".repeat(32)),
                "outPath": OUT, "signatures": ["odd", signature, "k:c2ln"],
            });
            let body = realisation(&entry).unwrap().body.unwrap();
            Realisation::parse(body.as_bytes()).unwrap()
        };
        let plain = of(serde_json::json!({}));
        assert_eq!(plain.signatures().len(), 1);
        let id = format!("sha256:{}!out", "3c".repeat(32));
        let dependent = of(serde_json::json!({ id: OUT }));
        assert!(dependent.signatures().is_empty() && dependent.dependent_realisations().is_empty());
    }
}
