//! The listing of a NAR (`<hash>.ls`, version 1): what it holds, and at which offset.
//!
//! Kept flat, in the order of the NAR, so that no depth of folders costs stack. The fields are those that Nix 2.35
//! writes, with `executable` for every file, in the order of Nix 2.8; a name that is not UTF-8 is written as the bytes
//! it has, which is what Nix 2.8 does too.

mod json;
mod parse;
mod writer;

pub use parse::{ListingError, MAX_LEN};
pub use writer::ListingWriter;

/// What a NAR holds, each folder's entries sorted by the bytes of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    entries: Vec<Entry>,
}

/// One file system object in a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    depth: u32,
    name: Box<[u8]>,
    node: Node,
}

/// What kind of file system object an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder; its entries follow, one deeper.
    Directory,
    /// A file.
    Regular {
        /// Its size in bytes.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
        /// Where its contents begin in the NAR.
        nar_offset: Option<u64>,
    },
    /// A symlink.
    Symlink {
        /// What it points to.
        target: Box<[u8]>,
    },
}

impl Entry {
    /// How many folders it is in: 0 for the root.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    /// Its name; empty for the root.
    #[must_use]
    pub const fn name(&self) -> &[u8] {
        &self.name
    }

    /// What it is.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }
}

impl Listing {
    /// All entries in the order of the NAR: the root first, each folder before what it holds.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Option<&Node> {
        self.entries.first().map(Entry::node)
    }

    /// Finds an entry by its path below the root, `/` between names; the empty path is the root.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<&Entry> {
        let mut index = 0;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let depth = self.entries.get(index)?.depth;
            let below = self.entries[index + 1..]
                .iter()
                .take_while(|entry| entry.depth > depth);
            let position = below
                .enumerate()
                .find(|(_, entry)| entry.depth == depth + 1 && *entry.name == *name)
                .map(|(position, _)| position)?;
            index += 1 + position;
        }
        self.entries.get(index)
    }

    /// Reads a listing, whatever the order of its fields and entries.
    pub fn parse(json: &[u8]) -> Result<Self, ListingError> {
        parse::parse(json)
    }

    /// Writes the listing. Not UTF-8 where a name or target is not.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut writer = ListingWriter::default();
        let mut open = 0;
        for entry in &self.entries {
            for _ in entry.depth..open {
                writer.leave();
            }
            match &entry.node {
                Node::Directory => writer.directory(&entry.name),
                Node::Regular {
                    size,
                    executable,
                    nar_offset,
                } => writer.regular(&entry.name, *executable, *size, *nar_offset),
                Node::Symlink { target } => writer.symlink(&entry.name, target),
            }
            open = entry.depth + u32::from(entry.node == Node::Directory);
        }
        for _ in 0..open {
            writer.leave();
        }
        writer.finish();
        writer.into_text()
    }
}

/// Takes down entries in the order of a NAR.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    entries: Vec<Entry>,
    depth: u32,
}

impl Builder {
    pub(crate) fn directory(&mut self, name: &[u8]) {
        self.push(name, Node::Directory);
        self.depth += 1;
    }

    pub(crate) const fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub(crate) fn regular(&mut self, name: &[u8], executable: bool, size: u64, nar_offset: u64) {
        self.push(
            name,
            Node::Regular {
                size,
                executable,
                nar_offset: Some(nar_offset),
            },
        );
    }

    pub(crate) fn symlink(&mut self, name: &[u8], target: &[u8]) {
        self.push(
            name,
            Node::Symlink {
                target: target.into(),
            },
        );
    }

    pub(crate) fn finish(self) -> Listing {
        Listing {
            entries: self.entries,
        }
    }

    fn push(&mut self, name: &[u8], node: Node) {
        self.entries.push(Entry {
            depth: self.depth,
            name: name.into(),
            node,
        });
    }
}
