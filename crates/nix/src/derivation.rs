//! Derivations as they lie in the store (`.drv`): inputs, outputs, and by which hash realisations name them.
//!
//! The form is an ATerm: `Derive(outputs,input derivations,input sources,system,builder,arguments,environment)`. Sources:
//! the manual's chapter on it (`doc/manual/source/protocols/derivation-aterm.md` in NixOS/nix), and what Nix 2.8, 2.26
//! and 2.34 say are the ids of realisations.

use std::{collections::HashSet, ops::Range};

use sha2::{Digest as _, Sha256};

use crate::realisation::DrvOutput;

/// The longest derivation that is read; those of large systems have a few MiB.
pub const MAX_LEN: usize = 32 << 20;

/// What is known of an output before it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its name, such as `out`.
    pub name: String,
    /// Its store path, where that is known.
    pub path: Option<String>,
    /// How it is hashed, such as `r:sha256`, where it is content-addressed.
    pub algorithm: Option<String>,
    /// Its hash, where that is known; `impure` where the output is never the same.
    pub hash: Option<String>,
}

impl Output {
    /// Whether the path follows from what is built.
    #[must_use]
    pub const fn is_floating(&self) -> bool {
        self.path.is_none() && self.hash.is_none() && self.algorithm.is_some()
    }

    /// Whether the path is known only after a build: of this derivation, or of its inputs.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.path.is_none() && self.hash.is_none()
    }
}

/// A derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    outputs: Vec<Output>,
    input_derivations: Vec<String>,
    masked_hash: [u8; 32],
}

impl Derivation {
    /// Reads a derivation; `None` for what is none, is longer than [`MAX_LEN`], or has derivations among its inputs that
    /// come out of derivations.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_LEN {
            return None;
        }
        let mut reader = Reader { text, at: 0 };
        let mut masked = Vec::new();
        let mut outputs = Vec::new();
        reader.expect(b"Derive(")?;
        reader.list(|reader| {
            reader.expect(b"(")?;
            let name = reader.string()?;
            reader.expect(b",")?;
            let path = reader.string()?;
            reader.expect(b",")?;
            let algorithm = reader.string()?;
            reader.expect(b",")?;
            let hash = reader.string()?;
            reader.expect(b")")?;
            outputs.push(Output {
                name: reader.plain(name)?,
                path: reader.plain_unless_empty(path.clone())?,
                algorithm: reader.plain_unless_empty(algorithm)?,
                hash: reader.plain_unless_empty(hash)?,
            });
            masked.push(path);
            Some(())
        })?;
        reader.expect(b",")?;
        let mut input_derivations = Vec::new();
        reader.list(|reader| {
            reader.expect(b"(")?;
            let path = reader.string()?;
            reader.expect(b",")?;
            reader.list(|reader| reader.string().map(drop))?;
            reader.expect(b")")?;
            input_derivations.push(reader.plain(path)?);
            Some(())
        })?;
        reader.expect(b",")?;
        reader.list(|reader| reader.string().map(drop))?;
        for _system_and_builder in 0..2 {
            reader.expect(b",")?;
            reader.string()?;
        }
        reader.expect(b",")?;
        reader.list(|reader| reader.string().map(drop))?;
        reader.expect(b",")?;
        let names: HashSet<&[u8]> = outputs.iter().map(|output| output.name.as_bytes()).collect();
        reader.list(|reader| {
            reader.expect(b"(")?;
            let name = reader.string()?;
            reader.expect(b",")?;
            let value = reader.string()?;
            if names.contains(&text[name]) {
                masked.push(value);
            }
            reader.expect(b")")
        })?;
        reader.expect(b")")?;
        (reader.at == text.len()).then_some(())?;
        Some(Self {
            masked_hash: hash_without(text, &masked),
            outputs,
            input_derivations,
        })
    }

    /// Its outputs.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Store paths of the derivations whose outputs it is built from.
    #[must_use]
    pub fn input_derivations(&self) -> &[String] {
        &self.input_derivations
    }

    /// Whether the path of an output is known only after a build.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outputs.iter().any(Output::is_open)
    }

    /// The names that Nix up to 2.34 has for the realisations of its outputs, if they are content-addressed and nothing is
    /// among its inputs that has to be built first, as in every derivation that Nix has resolved.
    #[must_use]
    pub fn realisation_ids(&self) -> Vec<DrvOutput> {
        if !self.input_derivations.is_empty() || !self.outputs.iter().all(Output::is_floating) {
            return Vec::new();
        }
        let names = self.outputs.iter().filter_map(|output| output.name.parse().ok());
        names.map(|name| DrvOutput::new(self.masked_hash, name)).collect()
    }
}

/// The hash of a text without some parts of it, which are in order.
fn hash_without(text: &[u8], parts: &[Range<usize>]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut at = 0;
    for part in parts {
        hasher.update(&text[at..part.start]);
        at = part.end;
    }
    hasher.update(&text[at..]);
    hasher.finalize().into()
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn expect(&mut self, token: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(token).then_some(())?;
        self.at += token.len();
        Some(())
    }

    /// `[…,…]`
    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b"[")?;
        if self.expect(b"]").is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            if self.expect(b",").is_none() {
                return self.expect(b"]");
            }
        }
    }

    /// Where a string is, without its quotes and with its escapes.
    fn string(&mut self) -> Option<Range<usize>> {
        self.expect(b"\"")?;
        let start = self.at;
        loop {
            match self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at - 1)
    }

    /// A string that has nothing to escape, as store paths and names of outputs.
    fn plain(&self, string: Range<usize>) -> Option<String> {
        let text = str::from_utf8(&self.text[string]).ok()?;
        (!text.contains('\\')).then(|| text.to_owned())
    }

    fn plain_unless_empty(&self, string: Range<usize>) -> Option<Option<String>> {
        let text = self.plain(string)?;
        Some((!text.is_empty()).then_some(text))
    }
}
