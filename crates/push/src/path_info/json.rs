//! Every form of `nix path-info --json` there has been, read in one pass.

use std::{fmt, marker::PhantomData};

use niks3_nix::{
    hash::{Hash, NarHash},
    signature::Signature,
    store_path::{StoreDir, StorePath},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

use super::{COMMAND, MAX_SIGNATURES, PathInfo, PathInfos};
use crate::nix::NixError;

/// Reads what `nix path-info --json` printed.
pub(super) fn parse(store_dir: &StoreDir, json: &[u8]) -> Result<PathInfos, NixError> {
    let mut read = Read {
        store_dir,
        infos: PathInfos::new(),
        invalid: None,
    };
    let mut from = serde_json::Deserializer::from_slice(json);
    let forms = Forms {
        read: &mut read,
        inner: false,
    };
    forms
        .deserialize(&mut from)
        .and_then(|()| from.end())
        .map_err(|source| NixError::Unintelligible {
            command: COMMAND,
            source,
        })?;
    match read.invalid {
        Some(path) => Err(NixError::Invalid(path)),
        None => Ok(read.infos),
    }
}

/// What has been read so far.
struct Read<'s> {
    store_dir: &'s StoreDir,
    infos: PathInfos,
    /// The first path that is not valid.
    invalid: Option<String>,
}

/// Where paths are found: in an array (up to 2.18, and Lix still), in an object under their names (2.19 and later), or in
/// such an object in the field `info` (`--json-format 2` and later).
struct Forms<'r, 's> {
    read: &'r mut Read<'s>,
    /// In the field `info`, where names are base names.
    inner: bool,
}

impl<'de> DeserializeSeed<'de> for Forms<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Forms<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("path infos, in an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(mut entry) = array.next_element::<Entry>()? {
            let path = entry.path.take();
            let path = path.ok_or_else(|| de::Error::missing_field("path"))?;
            self.read.add(&path, Some(entry))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(name) = object.next_key::<String>()? {
            if self.inner || name.starts_with('/') {
                let entry = object.next_value()?;
                self.read.add(&name, entry)?;
            } else if name == "info" {
                object.next_value_seed(Forms {
                    read: &mut *self.read,
                    inner: true,
                })?;
            } else {
                object.next_value::<de::IgnoredAny>()?;
            }
        }
        Ok(())
    }
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
    signatures: Vec<TextOr<SignatureObject>>,
    ca: Option<TextOr<CaObject>>,
    /// Left out by old versions when it is false.
    #[serde(default)]
    ultimate: bool,
}

impl Read<'_> {
    fn store_path<E: de::Error>(&self, text: &str) -> Result<StorePath, E> {
        let parsed = if text.starts_with('/') {
            self.store_dir.parse(text)
        } else {
            text.parse()
        };
        parsed.map_err(E::custom)
    }

    fn add<E: de::Error>(&mut self, name: &str, entry: Option<Entry>) -> Result<(), E> {
        let path = self.store_path(name)?;
        let Some(entry) = entry.filter(|entry| entry.valid != Some(false)) else {
            self.invalid.get_or_insert_with(|| self.store_dir.display(&path));
            return Ok(());
        };
        let missing = |field| E::custom(format!("{name} has no {field}"));
        let wrong = |field, error: &dyn fmt::Display| E::custom(format!("{field} of {name}: {error}"));
        let info = PathInfo {
            nar_hash: entry.nar_hash.ok_or_else(|| missing("narHash"))?,
            nar_size: entry.nar_size.ok_or_else(|| missing("narSize"))?,
            references: entry
                .references
                .iter()
                .map(|text| self.store_path(text))
                .collect::<Result<_, _>>()?,
            // Imported paths can have a deriver that is no store path here ("unknown-deriver").
            deriver: entry
                .deriver
                .as_deref()
                .and_then(|text| self.store_path::<E>(text).ok())
                .filter(StorePath::is_derivation),
            signatures: signatures(name, entry.signatures),
            ca: entry
                .ca
                .map(|ca| ca.text)
                .filter(|text| !text.is_empty())
                .map(|text| text.parse().map_err(|error| wrong("ca", &error)))
                .transpose()?,
            ultimate: entry.ultimate,
        };
        self.infos.insert(path, info);
        Ok(())
    }
}

/// Nix keeps whatever a cache said were signatures, and however many; what cannot be one is of no use to anybody.
fn signatures(name: &str, texts: Vec<TextOr<SignatureObject>>) -> Vec<Signature> {
    let mut kept = Vec::new();
    for TextOr { text, .. } in texts {
        match text.parse() {
            Ok(signature) if kept.contains(&signature) => {}
            Ok(_) if kept.len() == MAX_SIGNATURES => {
                tracing::warn!("{name} has more than {MAX_SIGNATURES} signatures: the others are left out");
                break;
            }
            Ok(signature) => kept.push(signature),
            Err(error) => tracing::debug!("leaving out a signature of {name}: {error}"),
        }
    }
    kept
}

/// A text that newer versions print as an object.
struct TextOr<O> {
    text: String,
    object: PhantomData<O>,
}

impl<'de, O: Deserialize<'de> + Into<String>> Deserialize<'de> for TextOr<O> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let object = PhantomData;
        let text = from.deserialize_any(TextOrVisitor::<O>(object))?;
        Ok(Self { text, object })
    }
}

struct TextOrVisitor<O>(PhantomData<O>);

impl<'de, O: Deserialize<'de> + Into<String>> Visitor<'de> for TextOrVisitor<O> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an object")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<String, A::Error> {
        O::deserialize(de::value::MapAccessDeserializer::new(object)).map(Into::into)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignatureObject {
    key_name: String,
    sig: String,
}

impl From<SignatureObject> for String {
    fn from(SignatureObject { key_name, sig }: SignatureObject) -> Self {
        format!("{key_name}:{sig}")
    }
}

#[derive(Deserialize)]
struct CaObject {
    method: String,
    hash: Hash,
}

impl From<CaObject> for String {
    fn from(CaObject { method, hash }: CaObject) -> Self {
        match method.as_str() {
            "text" => format!("text:{hash}"),
            "nar" | "recursive" => format!("fixed:r:{hash}"),
            "git" => format!("fixed:git:{hash}"),
            _ => format!("fixed:{hash}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-a";
    const B: &str = "1c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-b";
    const SRI: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    const SIGNATURE: &str =
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

    fn parsed(json: &str) -> PathInfos {
        parse(&StoreDir::default(), json.as_bytes()).unwrap()
    }

    #[test]
    fn all_forms_of_the_same_path_are_read_alike() {
        let base64 = SRI.trim_start_matches("sha256-");
        let array = format!(
            r#"[{{"path":"/nix/store/{A}","narHash":"{SRI}","narSize":120,"valid":true,"references":["/nix/store/{B}"],
                "deriver":"/nix/store/{B}.drv","ca":"fixed:r:{SRI}","signatures":["k-1:{SIGNATURE}"]}}]"#
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
                "signatures":[{{"keyName":"k-1","sig":"{SIGNATURE}"}}]}}}}}}"#
        );
        let first = parsed(&array);
        let info = &first[&A.parse::<StorePath>().unwrap()];
        assert_eq!(info.nar_size, 120);
        assert_eq!(info.references[0].as_str(), B);
        assert!(info.deriver.is_some() && info.ca.is_some());
        assert_eq!(info.signatures, [format!("k-1:{SIGNATURE}").parse().unwrap()]);
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
    fn signatures_that_are_none_or_too_many_are_left_out() {
        let signature = |i: u32| format!("key-{i}:{SIGNATURE}");
        let info = |signatures: &[String]| {
            let json = serde_json::json!({ format!("/nix/store/{A}"): {
                "narHash": SRI, "narSize": 120, "references": [], "signatures": signatures,
            }});
            parsed(&json.to_string())[&A.parse::<StorePath>().unwrap()].clone()
        };
        let odd = ["", "x", "no colon", "k:c2ln", ":", "k-1:%%", "a b:AAAA"].map(str::to_owned);
        let some = [&odd[..], &[signature(1), signature(1), signature(2)], &odd[..]].concat();
        let kept: Vec<String> = info(&some).signatures.iter().map(ToString::to_string).collect();
        assert_eq!(kept, [signature(1), signature(2)]);
        let many: Vec<String> = (0..100).map(signature).collect();
        assert_eq!(info(&many).signatures.len(), MAX_SIGNATURES);
    }

    #[test]
    fn an_error_says_what_is_wrong_and_where() {
        for (entry, words) in [
            (r#"{"narHash":7,"narSize":1}"#.to_owned(), "integer `7`"),
            (format!(r#"{{"narHash":"{SRI}","narSize":-1}}"#), "`-1`"),
            (format!(r#"{{"narHash":"{SRI}"}}"#), "has no narSize"),
            (
                format!(r#"{{"narHash":"{SRI}","narSize":1,"ca":"odd"}}"#),
                "ca of ",
            ),
            (
                format!(r#"{{"narHash":"{SRI}","narSize":1,"ca":7}}"#),
                "a string or an object",
            ),
            (
                format!(r#"{{"narHash":"{SRI}","narSize":1,"signatures":[{{"sig":"x"}}]}}"#),
                "keyName",
            ),
            (
                format!(r#"{{"narHash":"{SRI}","narSize":1,"references":["/etc"]}}"#),
                "/etc",
            ),
        ] {
            let array = format!(r#"[{{"path":"/nix/store/{A}",{}]"#, &entry[1..]);
            let object = format!(r#"{{"/nix/store/{A}":{entry}}}"#);
            let wrapped = format!(r#"{{"version":2,"info":{{"{A}":{entry}}}}}"#);
            for json in [array, object, wrapped] {
                let error = parse(&StoreDir::default(), json.as_bytes())
                    .unwrap_err()
                    .to_string();
                assert!(
                    error.contains(words) && error.contains("column"),
                    "{json}: {error}"
                );
            }
        }
    }

    /// Lix prints an array: the fields of Nix 2.8, sorted, and `valid`. So says `Store::pathInfoToJSON` in
    /// `lix/libstore/store-api.cc` of lix-project/lix, which began as Nix 2.18 and has kept the form of it. The
    /// fixtures are what 2.8 printed, written that way.
    #[test]
    fn the_array_of_lix_and_of_nix_before_2_19_is_read() {
        let oldest = parsed(&fixture("2.8"));
        let closure = parsed(&fixture("lix"));
        assert_eq!(closure, oldest);
        let json = fixture("lix-missing");
        let error = parse(&StoreDir::default(), json.as_bytes()).unwrap_err();
        assert!(matches!(error, NixError::Invalid(path) if path.ends_with("-missing")));
    }
}
