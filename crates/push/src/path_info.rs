//! What Nix has recorded about the paths of a closure, whichever version of Nix prints it.

use std::collections::{BTreeMap, BTreeSet};

use niks3_nix::{
    ca::ContentAddress,
    hash::{Hash, NarHash},
    store_path::{StoreDir, StorePath},
};
use serde::Deserialize;

use crate::nix::{LocalStore, NixError};

const COMMAND: &str = "path-info";
/// A command line may have a megabyte on macOS, with the environment.
const MAX_ARGUMENT_BYTES: usize = 256 * 1024;
/// Some 2 KiB for each of a million paths.
const MAX_OUTPUT: usize = 2 << 30;

/// What is known of one valid store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// Hash of its NAR.
    pub nar_hash: NarHash,
    /// Size of its NAR.
    pub nar_size: u64,
    /// What it refers to, perhaps itself.
    pub references: Vec<StorePath>,
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
    /// Signatures that it has already.
    pub signatures: Vec<String>,
    /// How its name follows from its contents.
    pub ca: Option<ContentAddress>,
    /// Nix built it on this machine.
    pub ultimate: bool,
}

impl PathInfo {
    /// Whether it is from here: built, or added from files. What was substituted is not.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.ultimate || (self.ca.is_some() && self.signatures.is_empty())
    }
}

/// Paths and what is known of them.
pub type PathInfos = BTreeMap<StorePath, PathInfo>;

/// Asks Nix for `roots`, and for all they refer to if `recursive`.
pub async fn query(store: &LocalStore, roots: &[StorePath], recursive: bool) -> Result<PathInfos, NixError> {
    let mut infos = PathInfos::new();
    for chunk in chunks(store.store_dir(), roots) {
        let mut arguments = vec!["--json".to_owned()];
        if recursive {
            arguments.push("--recursive".to_owned());
        }
        arguments.extend(chunk);
        let output = store.run(COMMAND, "nix-command", &arguments, MAX_OUTPUT).await?;
        infos.append(&mut parse(store.store_dir(), &output)?);
    }
    match roots.iter().find(|root| !infos.contains_key(root)) {
        Some(root) => Err(NixError::Invalid(store.store_dir().display(root))),
        None => Ok(infos),
    }
}

/// Every valid path of the store.
pub async fn valid_paths(store: &LocalStore) -> Result<BTreeSet<StorePath>, NixError> {
    let output = store
        .run(COMMAND, "nix-command", &["--all".to_owned()], MAX_OUTPUT)
        .await?;
    Ok(String::from_utf8_lossy(&output)
        .lines()
        .filter_map(|line| store.store_dir().parse(line.trim()).ok())
        .collect())
}

fn chunks(store_dir: &StoreDir, paths: &[StorePath]) -> Vec<Vec<String>> {
    let mut chunks: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for path in paths {
        let argument = store_dir.display(path);
        let cost = argument.len() + 1 + size_of::<usize>();
        if cost > room || chunks.is_empty() {
            chunks.push(Vec::new());
            room = MAX_ARGUMENT_BYTES;
        }
        room = room.saturating_sub(cost);
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(argument);
        }
    }
    chunks
}

/// Every form of `nix path-info --json` there has been.
#[derive(Deserialize)]
#[serde(untagged)]
enum Output {
    /// Up to 2.18.
    Array(Vec<Entry>),
    /// `--json-format 2` and later: base names, under a field of their own.
    Wrapped { info: BTreeMap<String, Option<Entry>> },
    /// 2.19 and later, and Lix.
    Object(BTreeMap<String, Option<Entry>>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    path: Option<String>,
    valid: Option<bool>,
    nar_hash: Option<NarHash>,
    nar_size: Option<u64>,
    #[serde(default)]
    references: Vec<String>,
    deriver: Option<String>,
    #[serde(default)]
    signatures: Vec<AnySignature>,
    ca: Option<AnyCa>,
    /// Left out by old versions when it is false.
    #[serde(default)]
    ultimate: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnySignature {
    Text(String),
    #[serde(rename_all = "camelCase")]
    Object {
        key_name: String,
        sig: String,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnyCa {
    Text(String),
    Object { method: String, hash: Hash },
}

fn parse(store_dir: &StoreDir, json: &[u8]) -> Result<PathInfos, NixError> {
    use serde::de::Error as _;
    let wrong = |source| NixError::Unintelligible {
        command: COMMAND,
        source,
    };
    let unwrap = |(path, entry): (String, Option<Entry>)| (path, entry);
    let entries: Vec<(String, Option<Entry>)> = match serde_json::from_slice(json).map_err(wrong)? {
        Output::Array(entries) => entries
            .into_iter()
            .map(|mut entry| (entry.path.take().unwrap_or_default(), Some(entry)))
            .collect(),
        Output::Wrapped { info: map } | Output::Object(map) => map.into_iter().map(unwrap).collect(),
    };
    let store_path = |text: &str| -> Result<StorePath, NixError> {
        let parsed = if text.starts_with('/') {
            store_dir.parse(text)
        } else {
            text.parse()
        };
        parsed.map_err(|error| wrong(serde_json::Error::custom(error)))
    };
    let mut infos = PathInfos::new();
    for (name, entry) in entries {
        let path = store_path(&name)?;
        let entry = entry.filter(|entry| entry.valid != Some(false));
        let Some(entry) = entry else {
            return Err(NixError::Invalid(store_dir.display(&path)));
        };
        let missing = |field| wrong(serde_json::Error::custom(format!("{name} has no {field}")));
        let info = PathInfo {
            nar_hash: entry.nar_hash.ok_or_else(|| missing("narHash"))?,
            nar_size: entry.nar_size.ok_or_else(|| missing("narSize"))?,
            references: entry
                .references
                .iter()
                .map(|text| store_path(text))
                .collect::<Result<_, _>>()?,
            // Imported paths can have a deriver that is no store path here ("unknown-deriver").
            deriver: entry
                .deriver
                .as_deref()
                .and_then(|text| store_path(text).ok())
                .filter(StorePath::is_derivation),
            signatures: entry
                .signatures
                .into_iter()
                .map(AnySignature::into_text)
                .collect(),
            ca: match entry.ca {
                None => None,
                Some(ca) => match ca.into_text() {
                    text if text.is_empty() => None,
                    text => Some(
                        text.parse()
                            .map_err(|error| wrong(serde_json::Error::custom(error)))?,
                    ),
                },
            },
            ultimate: entry.ultimate,
        };
        infos.insert(path, info);
    }
    Ok(infos)
}

impl AnySignature {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Object { key_name, sig } => format!("{key_name}:{sig}"),
        }
    }
}

impl AnyCa {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Object { method, hash } => match method.as_str() {
                "text" => format!("text:{hash}"),
                "nar" | "recursive" => format!("fixed:r:{hash}"),
                "git" => format!("fixed:git:{hash}"),
                _ => format!("fixed:{hash}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-a";
    const B: &str = "1c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-b";
    const SRI: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn parsed(json: &str) -> PathInfos {
        parse(&StoreDir::default(), json.as_bytes()).unwrap()
    }

    #[test]
    fn all_forms_of_the_same_path_are_read_alike() {
        let base64 = SRI.trim_start_matches("sha256-");
        let array = format!(
            r#"[{{"path":"/nix/store/{A}","narHash":"{SRI}","narSize":120,"valid":true,"references":["/nix/store/{B}"],
                "deriver":"/nix/store/{B}.drv","ca":"fixed:r:{SRI}","signatures":["k-1:c2ln"]}}]"#
        )
        .replace(&format!("fixed:r:{SRI}"), "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
        let object = array.replace(
            &format!(r#"[{{"path":"/nix/store/{A}","#),
            &format!(r#"{{"/nix/store/{A}":{{"#),
        );
        let object = object.trim_end_matches(']').to_owned() + "}";
        let structured = format!(
            r#"{{"version":2,"storeDir":"/nix/store","info":{{"{A}":{{"version":2,"narSize":120,"references":["{B}"],
                "narHash":{{"algorithm":"sha256","format":"base64","hash":"{base64}"}},"deriver":"{B}.drv",
                "ca":{{"method":"nar","hash":{{"algorithm":"sha256","format":"base64","hash":"{base64}"}}}},
                "signatures":[{{"keyName":"k-1","sig":"c2ln"}}]}}}}}}"#
        );
        let first = parsed(&array);
        let info = &first[&A.parse::<StorePath>().unwrap()];
        assert_eq!(info.nar_size, 120);
        assert_eq!(info.references[0].as_str(), B);
        assert!(info.deriver.is_some() && info.ca.is_some());
        assert_eq!(info.signatures, ["k-1:c2ln"]);
        assert_eq!(parsed(&object), first);
        assert_eq!(parsed(&structured), first);
    }

    /// What this version of Nix printed of one and the same closure.
    fn fixture(name: &str) -> String {
        let path = format!(
            "{}/tests/fixtures/path-info/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    #[test]
    fn every_version_of_nix_says_the_same_of_a_closure() {
        let common = |version: &str| {
            let mut infos = parsed(&fixture(version));
            assert_eq!(infos.len(), 5, "{version}");
            // Content-addressed and refers to itself: Nix 2.26 and later make another path of it than 2.8.
            infos.retain(|path, _| path.name() != "caapp-1.0");
            infos
        };
        let oldest = common("2.8");
        assert!(oldest.values().any(|info| info.ca.is_some()));
        assert!(oldest.values().any(|info| info.deriver.is_some()));
        for version in ["2.26", "2.34", "2.34-format-2"] {
            assert_eq!(common(version), oldest, "{version}");
        }
    }

    #[test]
    fn every_version_of_nix_tells_which_path_is_not_valid() {
        for version in ["2.8", "2.26", "2.34", "2.34-format-2"] {
            let json = fixture(&format!("{version}-missing"));
            let message = parse(&StoreDir::default(), json.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(
                message.contains("/nix/store/00000000000000000000000000000000-missing"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_path_that_is_not_valid_is_named() {
        for json in [
            format!(r#"[{{"path":"/nix/store/{A}","valid":false}}]"#),
            format!(r#"{{"/nix/store/{A}":null}}"#),
        ] {
            let message = parse(&StoreDir::default(), json.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(message.contains(A), "{message}");
        }
    }

    #[test]
    fn what_is_not_path_info_is_an_error_and_no_panic() {
        for json in [
            "",
            "null",
            "[1]",
            "{}x",
            r#"{"/nix/store/x":{}}"#,
            r#"[{"path":"/etc"}]"#,
        ] {
            assert!(parse(&StoreDir::default(), json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn long_lists_are_split_and_lose_nothing() {
        let paths: Vec<StorePath> = (0..10_000)
            .map(|i| format!("{}-{i:0100}", &A[..32]).parse().unwrap())
            .collect();
        let chunks = chunks(&StoreDir::default(), &paths);
        assert!(chunks.len() > 1);
        assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), paths.len());
        for chunk in chunks {
            assert!(chunk.iter().map(|argument| argument.len() + 9).sum::<usize>() <= MAX_ARGUMENT_BYTES);
        }
    }
}
