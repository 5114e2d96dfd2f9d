//! The beginning of a derivation (`.drv`): its outputs, and whether other derivations are among its inputs.

use std::{fs::File, io::Read as _, path::Path};

use niks3_nix::{
    derivation::{Derivation, MAX_LEN},
    store_path::StorePath,
};

use crate::nix::LocalStore;

/// Nearly always enough.
const FIRST: u64 = 4 * 1024;
const MOST: u64 = 64 * 1024;

/// A derivation in the store; `None` where it is not there, or is none.
pub(super) fn read(store: &LocalStore, path: &StorePath) -> Option<Derivation> {
    let file = File::open(store.real_path(path)).ok()?;
    let mut text = Vec::new();
    file.take(MAX_LEN as u64 + 1).read_to_end(&mut text).ok()?;
    Derivation::parse(&text)
}

/// What stands at the beginning of a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    outputs: Vec<Output>,
    has_input_derivations: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Output {
    name: String,
    path_is_known: bool,
    has_hash: bool,
}

impl Head {
    /// Reads a derivation; `None` when there is none.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let mut text = Vec::new();
        for limit in [FIRST, MOST] {
            let more = limit - text.len() as u64;
            (&mut file).take(more).read_to_end(&mut text).ok()?;
            if let Some(head) = Self::parse(&text) {
                return Some(head);
            }
        }
        None
    }

    /// `Derive([("out","path","algorithm","hash"),…],[input derivations…` as bytes: what follows may be in any encoding.
    fn parse(text: &[u8]) -> Option<Self> {
        let start = text.windows(2).position(|two| two == b"[(")?;
        let mut rest = text.get(start + 1..)?;
        let mut outputs = Vec::new();
        loop {
            rest = rest.strip_prefix(b"(")?;
            let name = string(&mut rest)?;
            let mut field = || {
                rest = rest.strip_prefix(b",")?;
                string(&mut rest)
            };
            let (path, _algorithm, hash) = (field()?, field()?, field()?);
            outputs.push(Output {
                name: String::from_utf8(name.to_vec()).ok()?,
                path_is_known: !path.is_empty(),
                has_hash: !hash.is_empty(),
            });
            rest = rest.strip_prefix(b")")?;
            let (separator, more) = rest.split_first()?;
            rest = more;
            match separator {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
        let inputs = rest.strip_prefix(b",[")?;
        Some(Self {
            outputs,
            has_input_derivations: *inputs.first()? != b']',
        })
    }

    /// Whether the path of an output is known only when it is built: it follows from what comes out, or from
    /// inputs of which that is so.
    pub(super) fn is_open(&self) -> bool {
        self.outputs
            .iter()
            .any(|output| !output.path_is_known && !output.has_hash)
    }

    /// Whether Nix may have made it of another derivation by filling in what the inputs came out as.
    pub(super) fn may_be_resolved(&self) -> bool {
        !self.has_input_derivations && self.outputs.iter().any(|output| !output.has_hash)
    }

    pub(super) fn into_outputs(self) -> Vec<String> {
        self.outputs.into_iter().map(|output| output.name).collect()
    }
}

/// Takes a quoted string from the front. Neither outputs nor their paths have anything to escape.
fn string<'t>(text: &mut &'t [u8]) -> Option<&'t [u8]> {
    let inner = text.strip_prefix(b"\"")?;
    let end = inner.iter().position(|byte| *byte == b'"')?;
    let (string, rest) = inner.split_at(end);
    *text = rest.get(1..)?;
    (!string.contains(&b'\\')).then_some(string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Option<Head> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Head::read(file.path())
    }

    #[test]
    fn only_outputs_without_path_and_hash_are_open() {
        for (outputs, open) in [
            (r#"("out","","r:sha256","")"#, true),
            (r#"("dev","/nix/store/x","",""),("out","","sha256","")"#, true),
            (r#"("out","","","")"#, true),
            (r#"("out","/nix/store/x","r:sha256","abcdef")"#, false),
            (r#"("out","/nix/store/x","","")"#, false),
            (r#"("out","","r:sha256","impure")"#, false),
        ] {
            for before in ["Derive(", r#"DrvWithVersion("xp-dyn-drv","#] {
                let text = format!(r#"{before}[{outputs}],[],[],"x","/bin/sh",[],[])"#);
                let head = read(text.as_bytes()).unwrap();
                assert_eq!(head.is_open(), open, "{text}");
            }
        }
        assert_eq!(Head::read(Path::new("/nonexistent.drv")), None);
    }

    #[test]
    fn a_derivation_with_input_derivations_was_not_resolved() {
        for (inputs, resolved) in [("", true), (r#"("/nix/store/x.drv",["out"])"#, false)] {
            let text = format!(r#"Derive([("out","/nix/store/x","","")],[{inputs}],[],"x","/bin/sh",[],[])"#);
            assert_eq!(
                read(text.as_bytes()).unwrap().may_be_resolved(),
                resolved,
                "{text}"
            );
        }
        let fixed = br#"Derive([("out","/nix/store/x","sha256","ab")],[],[],"x","/bin/sh",[],[])"#;
        assert!(!read(fixed).unwrap().may_be_resolved());
    }

    #[test]
    fn whatever_encoding_follows_the_outputs_are_read() {
        let outputs =
            br#"Derive([("doc","","r:sha256",""),("out","","r:sha256","")],[],[],"x","/bin/sh",[],["#;
        let odd: [&[u8]; 3] = [b"(\"a\",\"\xe4\xf6\")])", "é".as_bytes(), "é".as_bytes()];
        for (more, filler) in odd.into_iter().zip([0, MOST as usize, FIRST as usize]) {
            let mut text = outputs.to_vec();
            // A character that ends beyond what is read.
            text.resize(filler.saturating_sub(1).max(outputs.len()), b'x');
            text.extend_from_slice(more);
            text.resize(text.len() + 100, b'x');
            let head = read(&text).unwrap();
            assert!(head.is_open());
            assert_eq!(head.into_outputs(), ["doc", "out"]);
        }
    }

    #[test]
    fn many_outputs_are_read_and_what_is_cut_is_none() {
        let outputs: Vec<String> = (0..200)
            .map(|i| format!(r#"("out{i}","","r:sha256","")"#))
            .collect();
        let text = format!(r#"Derive([{}],[],[],"x""#, outputs.join(","));
        assert!(text.len() as u64 > FIRST);
        assert_eq!(read(text.as_bytes()).unwrap().into_outputs().len(), 200);
        let first = format!(r#"Derive([{}],[]"#, outputs[0]);
        for len in 0..first.len() - 1 {
            assert_eq!(read(&first.as_bytes()[..len]), None, "{len}");
        }
    }
}
