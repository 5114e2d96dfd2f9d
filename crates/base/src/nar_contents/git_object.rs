//! The hash of the git object that a NAR would be, as `fixed:git:` content addresses have it.

use niks3_nix::hash::{Hash, HashAlgorithm};
use niks3_nix::nar::Event;

use super::content_hash::Hasher;

const DIRECTORY: &str = "40000";
const FILE: &str = "100644";
const EXECUTABLE: &str = "100755";
const SYMLINK: &str = "120000";

/// Hashes files as git blobs and directories as git trees while a NAR is read. Its memory is that of the entries of open
/// directories, which the bound of a listing bounds as well.
pub(super) struct GitHasher {
    algorithm: HashAlgorithm,
    open: Vec<Tree>,
    blob: Option<Blob>,
    root: Option<Hash>,
}

struct Tree {
    name: Vec<u8>,
    entries: Vec<Entry>,
}

struct Entry {
    /// Git sorts directories as if their names ended with a slash.
    sort_key: Vec<u8>,
    mode: &'static str,
    hash: Hash,
}

impl Entry {
    fn name(&self) -> &[u8] {
        match self.mode {
            DIRECTORY => &self.sort_key[..self.sort_key.len() - 1],
            _ => &self.sort_key,
        }
    }

    fn len(&self) -> usize {
        self.mode.len() + 1 + self.name().len() + 1 + self.hash.digest().len()
    }
}

struct Blob {
    name: Vec<u8>,
    mode: &'static str,
    hasher: Hasher,
    /// Bytes that have not come.
    left: u64,
}

impl GitHasher {
    /// Nothing yet; `None` for an algorithm that the server does not have.
    pub fn new(algorithm: HashAlgorithm) -> Option<Self> {
        Hasher::new(algorithm)?;
        Some(Self {
            algorithm,
            open: Vec::new(),
            blob: None,
            root: None,
        })
    }

    /// Takes what comes next in the NAR.
    pub fn update(&mut self, event: Event<'_>) {
        match event {
            Event::Directory { name } => self.open.push(Tree {
                name: name.to_vec(),
                entries: Vec::new(),
            }),
            Event::Leave => {
                if let Some(tree) = self.open.pop() {
                    let name = tree.name.clone();
                    let hash = self.tree(tree);
                    self.add(name, DIRECTORY, hash);
                }
            }
            Event::Symlink { name, target } => {
                self.begin(name, SYMLINK, target.len() as u64);
                self.contents(target);
            }
            Event::Regular {
                name,
                executable,
                size,
            } => {
                let mode = if executable { EXECUTABLE } else { FILE };
                self.begin(name, mode, size);
                self.contents(&[]);
            }
            Event::Contents { bytes, .. } => self.contents(bytes),
        }
    }

    /// The hash of the root, once the NAR has been read whole.
    pub fn finish(self) -> Option<Hash> {
        self.root
    }

    fn begin(&mut self, name: &[u8], mode: &'static str, size: u64) {
        self.blob = self.object("blob", size).map(|hasher| Blob {
            name: name.to_vec(),
            mode,
            hasher,
            left: size,
        });
    }

    fn contents(&mut self, bytes: &[u8]) {
        let Some(mut blob) = self.blob.take() else { return };
        blob.hasher.update(bytes);
        blob.left = blob.left.saturating_sub(bytes.len() as u64);
        if blob.left == 0 {
            self.add(blob.name, blob.mode, blob.hasher.finish());
        } else {
            self.blob = Some(blob);
        }
    }

    fn tree(&self, mut tree: Tree) -> Option<Hash> {
        tree.entries
            .sort_by(|one, other| one.sort_key.cmp(&other.sort_key));
        let size: usize = tree.entries.iter().map(Entry::len).sum();
        let mut hasher = self.object("tree", size as u64)?;
        for entry in &tree.entries {
            hasher.update(entry.mode.as_bytes());
            hasher.update(b" ");
            hasher.update(entry.name());
            hasher.update(b"\0");
            hasher.update(entry.hash.digest());
        }
        hasher.finish()
    }

    fn object(&self, kind: &str, size: u64) -> Option<Hasher> {
        let mut hasher = Hasher::new(self.algorithm)?;
        hasher.update(format!("{kind} {size}\0").as_bytes());
        Some(hasher)
    }

    fn add(&mut self, mut name: Vec<u8>, mode: &'static str, hash: Option<Hash>) {
        let Some(hash) = hash else { return };
        match self.open.last_mut() {
            None => self.root = Some(hash),
            Some(tree) => {
                if mode == DIRECTORY {
                    name.push(b'/');
                }
                tree.entries.push(Entry {
                    sort_key: name,
                    mode,
                    hash,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use niks3_nix::nar::Scanner;

    use super::*;

    fn string(nar: &mut Vec<u8>, text: &[u8]) {
        nar.extend_from_slice(&(text.len() as u64).to_le_bytes());
        nar.extend_from_slice(text);
        nar.resize(nar.len().next_multiple_of(8), 0);
    }

    fn nar(words: &str) -> Vec<u8> {
        let mut nar = Vec::new();
        for word in words.split(' ') {
            // Words that have no place between spaces.
            match word {
                "EMPTY" => string(&mut nar, b""),
                word => string(&mut nar, word.replace('~', "\n").as_bytes()),
            }
        }
        nar
    }

    #[test]
    fn files_links_and_directories_have_the_hashes_that_git_gives_them() {
        let file = |contents: &str| format!("( type regular contents {contents} )");
        let entry = |name: &str, node: &str| format!("entry ( name {name} node {node} )");
        let folder = |entries: &[String]| format!("( type directory {} )", entries.join(" "));
        let tree = folder(&[
            entry("a", &file("hi~")),
            entry("l", "( type symlink target a )"),
            entry("sub", &folder(&[entry("z", &file("z~"))])),
            entry("sub.d", &folder(&[entry("y", &file("y~"))])),
            entry("x", "( type regular executable EMPTY contents #!~ )"),
        ]);
        // By `git write-tree` and `git hash-object`, and by `nix store add --mode git`.
        for (node, algorithm, expected) in [
            (
                &tree,
                HashAlgorithm::Sha1,
                "5cd2d6905986ea2be440fc1c154ce61a704bb344",
            ),
            (
                &tree,
                HashAlgorithm::Sha256,
                "8520ef4f795af3c6d84981be7bd19b14eb92a9e20bb9660568fdc653c13feeac",
            ),
            (
                &file("hi~"),
                HashAlgorithm::Sha1,
                "45b983be36b73c0788dc9cbcb76cbb80fc7bb057",
            ),
            (
                &file("EMPTY"),
                HashAlgorithm::Sha1,
                "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
            ),
        ] {
            let nar = nar(&format!("nix-archive-1 {node}"));
            for size in [1, 7, nar.len()] {
                let mut hasher = GitHasher::new(algorithm).unwrap();
                let mut scanner = Scanner::default();
                for piece in nar.chunks(size) {
                    scanner.scan(piece, &mut |event| hasher.update(event)).unwrap();
                }
                scanner.finish().unwrap();
                assert_eq!(hasher.finish().unwrap().hex(), expected, "{node} {size}");
            }
        }
    }
}
