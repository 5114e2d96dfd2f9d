//! Separate debug information, which debuggers find in a cache by its build id: `debuginfo/<build id>`.
//!
//! `nix copy` writes these objects for a store with `index-debug-info=true`.

use crate::listing::{Listing, Node};

/// Where outputs have it.
const FOLDER: [&[u8]; 3] = [b"lib", b"debug", b".build-id"];
/// A build id has 40 hexadecimal digits, of which the first two name a folder.
const FOLDER_DIGITS: usize = 2;
const FILE_DIGITS: usize = 38;

/// A file with debug information in a NAR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugFile {
    folder: String,
    file: String,
}

impl DebugFile {
    /// The key of the object in a cache: `debuginfo/<build id>.debug`.
    #[must_use]
    pub fn cache_key(&self) -> String {
        format!("debuginfo/{}{}", self.folder, self.file)
    }

    /// The object, which names the NAR by its `url` in narinfos and the file in it.
    #[must_use]
    pub fn to_json(&self, url: &str) -> String {
        let member = format!("lib/debug/.build-id/{}/{}", self.folder, self.file);
        serde_json::json!({ "archive": format!("../{url}"), "member": member }).to_string()
    }
}

/// The files with debug information that a NAR holds.
#[must_use]
pub fn debug_files(listing: &Listing) -> Vec<DebugFile> {
    let mut above: Vec<&[u8]> = Vec::new();
    let mut found = Vec::new();
    // The root has no name and is no folder of a path.
    for entry in listing.entries().iter().skip(1) {
        above.truncate((entry.depth() as usize).saturating_sub(1));
        if let ([lib, debug, build_id, folder], Node::Regular { .. }) = (above.as_slice(), entry.node())
            && [*lib, *debug, *build_id] == FOLDER
            && let Some(folder) = digits(folder, FOLDER_DIGITS)
            && let Some(name) = entry.name().strip_suffix(b".debug")
            && let Some(name) = digits(name, FILE_DIGITS)
        {
            found.push(DebugFile {
                folder: folder.to_owned(),
                file: format!("{name}.debug"),
            });
        }
        above.push(entry.name());
    }
    found
}

/// So many lowercase hexadecimal digits.
fn digits(name: &[u8], count: usize) -> Option<&str> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let text = str::from_utf8(name).ok()?;
    (name.len() == count && name.iter().all(is_digit)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_with_build_ids_count() {
        let id = "cdef0123456789abcdef0123456789abcdef01";
        let file = r#"{"type":"regular","size":1}"#;
        let folder = |entries: &str| format!(r#"{{"type":"directory","entries":{{{entries}}}}}"#);
        let in_build_id = format!(
            r#""ab":{},"AB":{},"abc":{},"cd":{file},"x":{{"type":"symlink","target":"ab"}}"#,
            folder(&format!(
                r#""{id}.debug":{file},"{id}":{file},"0{id}.debug":{file},"00{}.debug":{{"type":"symlink","target":"x"}}"#,
                &id[2..]
            )),
            folder(&format!(r#""{id}.debug":{file}"#)),
            folder(&format!(r#""{id}.debug":{file}"#)),
        );
        let other = format!(r#""ab":{}"#, folder(&format!(r#""{id}.debug":{file}"#)));
        let root = folder(&format!(
            r#""lib":{},"share":{}"#,
            folder(&format!(
                r#""debug":{}"#,
                folder(&format!(r#"".build-id":{}"#, folder(&in_build_id)))
            )),
            folder(&format!(
                r#""debug":{}"#,
                folder(&format!(r#"".build-id":{}"#, folder(&other)))
            )),
        ));
        let listing = Listing::parse(format!(r#"{{"version":1,"root":{root}}}"#).as_bytes());
        let listing = listing.unwrap_or_else(|error| panic!("{error}"));
        let found = debug_files(&listing);
        let keys: Vec<String> = found.iter().map(DebugFile::cache_key).collect();
        assert_eq!(keys, [format!("debuginfo/ab{id}.debug")]);
        assert_eq!(
            found[0].to_json("nar/x.nar.zst"),
            format!(r#"{{"archive":"../nar/x.nar.zst","member":"lib/debug/.build-id/ab/{id}.debug"}}"#)
        );
    }
}
