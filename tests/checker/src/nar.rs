//! NARs, read strictly: what Nix would write for the same tree and nothing else.

use serde_json::{Map, Value, json};

/// Directories inside each other. Paths in a file system are at most 4,096 bytes long on Linux, so at most 2,048 deep.
const MAX_DEPTH: usize = 2048;

/// A file, as a NAR has it.
#[derive(Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    Regular {
        /// Whether it can be executed.
        executable: bool,
        /// Where its contents begin in the NAR.
        offset: usize,
        /// Their length.
        size: usize,
    },
    /// A symbolic link to this.
    Symlink(Vec<u8>),
    /// A directory, in the order of its names.
    Directory(Vec<(Vec<u8>, Self)>),
}

struct Reader<'a> {
    nar: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &str) -> String {
        format!("byte {}: {what}", self.at)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.nar.len());
        let end = end.ok_or_else(|| self.wrong("the NAR ends too early"))?;
        let taken = &self.nar[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn string(&mut self) -> Result<&'a [u8], String> {
        let mut length = [0; 8];
        length.copy_from_slice(self.take(8)?);
        let length = usize::try_from(u64::from_le_bytes(length))
            .map_err(|_| self.wrong("a length beyond this machine's memory"))?;
        let text = self.take(length)?;
        let padding = self.take(length.next_multiple_of(8) - length)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(self.wrong("padding that is not zero"));
        }
        Ok(text)
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        let found = self.string()?;
        if found == word.as_bytes() {
            return Ok(());
        }
        let found = String::from_utf8_lossy(&found[..found.len().min(40)]);
        Err(self.wrong(&format!("'{found}' instead of '{word}'")))
    }

    fn node(&mut self, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("directories nested too deeply"));
        }
        self.expect("(")?;
        self.expect("type")?;
        match self.string()? {
            b"regular" => self.regular(),
            b"symlink" => {
                self.expect("target")?;
                let target = self.string()?.to_vec();
                if target.is_empty() || target.contains(&0) {
                    return Err(self.wrong("a symbolic link to an impossible target"));
                }
                self.expect(")")?;
                Ok(Node::Symlink(target))
            }
            b"directory" => self.directory(depth),
            _ => Err(self.wrong("an unknown type of file")),
        }
    }

    fn regular(&mut self) -> Result<Node, String> {
        let mut executable = false;
        match self.string()? {
            b"contents" => {}
            b"executable" => {
                executable = true;
                self.expect("")?;
                self.expect("contents")?;
            }
            _ => return Err(self.wrong("a regular file without contents")),
        }
        let offset = self.at + 8;
        let size = self.string()?.len();
        self.expect(")")?;
        Ok(Node::Regular {
            executable,
            offset,
            size,
        })
    }

    fn directory(&mut self, depth: usize) -> Result<Node, String> {
        let mut entries: Vec<(Vec<u8>, Node)> = Vec::new();
        loop {
            match self.string()? {
                b")" => return Ok(Node::Directory(entries)),
                b"entry" => {}
                _ => return Err(self.wrong("neither an entry nor the end of a directory")),
            }
            self.expect("(")?;
            self.expect("name")?;
            let name = self.string()?.to_vec();
            if matches!(name.as_slice(), b"" | b"." | b"..")
                || name.iter().any(|byte| matches!(byte, 0 | b'/'))
            {
                return Err(self.wrong("an impossible file name"));
            }
            if entries.last().is_some_and(|(last, _)| *last >= name) {
                return Err(self.wrong("file names that are not sorted"));
            }
            self.expect("node")?;
            let node = self.node(depth + 1)?;
            self.expect(")")?;
            entries.push((name, node));
        }
    }
}

/// Reads a whole NAR.
pub fn parse(nar: &[u8]) -> Result<Node, String> {
    let mut reader = Reader { nar, at: 0 };
    reader.expect("nix-archive-1")?;
    let node = reader.node(0)?;
    if reader.at == nar.len() {
        Ok(node)
    } else {
        Err(reader.wrong("something after the end of the NAR"))
    }
}

impl Node {
    fn to_json(&self) -> Value {
        match self {
            Self::Regular {
                executable,
                offset,
                size,
            } => {
                json!({ "type": "regular", "size": size, "executable": executable, "narOffset": offset })
            }
            Self::Symlink(target) => json!({ "type": "symlink", "target": String::from_utf8_lossy(target) }),
            Self::Directory(entries) => {
                let entries: Map<String, Value> = entries
                    .iter()
                    .map(|(name, node)| (String::from_utf8_lossy(name).into_owned(), node.to_json()))
                    .collect();
                json!({ "type": "directory", "entries": entries })
            }
        }
    }

    /// The listing of the NAR, as `nix copy` writes it with `write-nar-listing`.
    pub fn listing(&self) -> Value {
        json!({ "version": 1, "root": self.to_json() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, parse};

    fn string(text: &[u8]) -> Vec<u8> {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn nar(words: &[&str]) -> Vec<u8> {
        words.iter().flat_map(|word| string(word.as_bytes())).collect()
    }

    fn directory(names: &[&str]) -> Vec<u8> {
        let mut words = vec!["nix-archive-1", "(", "type", "directory"];
        for name in names {
            words.extend([
                "entry", "(", "name", name, "node", "(", "type", "symlink", "target", "x", ")", ")",
            ]);
        }
        words.push(")");
        nar(&words)
    }

    #[test]
    fn a_file_says_where_its_contents_are() {
        let file = nar(&[
            "nix-archive-1",
            "(",
            "type",
            "regular",
            "executable",
            "",
            "contents",
            "hello",
            ")",
        ]);
        let node = parse(&file).unwrap();
        let Node::Regular {
            executable: true,
            offset,
            size: 5,
        } = node
        else {
            panic!("{node:?}");
        };
        assert_eq!(&file[offset..offset + 5], b"hello");
    }

    #[test]
    fn what_nix_would_not_write_is_refused() {
        assert!(parse(&directory(&["a", "b"])).is_ok());
        for names in [
            &["b", "a"][..],
            &["a", "a"],
            &["a/b"],
            &[".."],
            &["."],
            &[""],
            &["a\0"],
        ] {
            assert!(parse(&directory(names)).is_err(), "{names:?}");
        }
        let good = directory(&["a"]);
        assert!(parse(&[&good[..], b"\0\0\0\0\0\0\0\0"].concat()).is_err());
        assert!(parse(&good[..good.len() - 8]).is_err());
        let mut padded = good.clone();
        // The last byte of `)` is padding.
        *padded.last_mut().unwrap() = 1;
        assert!(parse(&padded).is_err());
        let mut endless = good;
        endless[..8].fill(0xff);
        assert!(parse(&endless).is_err());
        assert!(parse(&nar(&["nix-archive-1", "(", "type", "regular", ")"])).is_err());
    }

    #[test]
    fn directories_nested_without_end_are_refused() {
        let mut words = vec!["nix-archive-1"];
        for _ in 0..100_000 {
            words.extend(["(", "type", "directory", "entry", "(", "name", "a", "node"]);
        }
        let nar = nar(&words);
        let read = std::thread::Builder::new()
            .stack_size(crate::check::STACK)
            .spawn(move || parse(&nar));
        assert!(read.unwrap().join().unwrap().unwrap_err().contains("too deeply"));
    }
}
