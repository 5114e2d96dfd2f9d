//! Content addresses: the store path and the contents that `CA` claims, computed again.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use crate::base32::{self, hex};
use crate::nar::Node;
use crate::narinfo::{HASH_LEN, NarInfo};

/// What comes of recomputing a content address.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Path and contents are what it says.
    Fits,
    /// It is hashed in a way that this checker does not know.
    Unknown(String),
    /// It is wrong.
    Wrong(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Text,
    Flat,
    Recursive,
    Git,
}

/// Number of bytes of a hash.
fn hash_len(algorithm: &str) -> Option<usize> {
    match algorithm {
        "md5" => Some(16),
        "sha1" => Some(20),
        "sha256" | "blake3" => Some(32),
        "sha512" => Some(64),
        _ => None,
    }
}

fn digest(algorithm: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    Some(match algorithm {
        "md5" => Md5::digest(bytes).to_vec(),
        "sha1" => Sha1::digest(bytes).to_vec(),
        "sha256" => Sha256::digest(bytes).to_vec(),
        "sha512" => Sha512::digest(bytes).to_vec(),
        "blake3" => blake3::hash(bytes).as_bytes().to_vec(),
        _ => return None,
    })
}

/// The hash of an object as git stores it.
fn git_object(kind: &str, bytes: &[u8], algorithm: &str) -> Option<Vec<u8>> {
    let header = format!("{kind} {}\0", bytes.len());
    digest(algorithm, &[header.as_bytes(), bytes].concat())
}

/// The hash of what git would make of a file, a link or a directory, and the mode that its entry would have.
fn git(nar: &[u8], node: &Node, algorithm: &str) -> Option<(&'static str, Vec<u8>)> {
    match node {
        Node::Regular {
            executable,
            offset,
            size,
        } => {
            let mode = if *executable { "100755" } else { "100644" };
            Some((mode, git_object("blob", &nar[*offset..offset + size], algorithm)?))
        }
        Node::Symlink(target) => Some(("120000", git_object("blob", target, algorithm)?)),
        Node::Directory(entries) => {
            let mut sorted = Vec::with_capacity(entries.len());
            for (name, node) in entries {
                let (mode, hash) = git(nar, node, algorithm)?;
                let end: &[u8] = if mode == "40000" { b"/" } else { b"" };
                let line = [mode.as_bytes(), b" ", name, b"\0", &hash].concat();
                sorted.push(([name, end].concat(), line));
            }
            sorted.sort();
            let lines: Vec<u8> = sorted.into_iter().flat_map(|(_, line)| line).collect();
            Some(("40000", git_object("tree", &lines, algorithm)?))
        }
    }
}

/// The method and the rest of a content address.
fn split(ca: &str) -> Option<(Method, &str)> {
    [
        ("text:", Method::Text),
        ("fixed:r:", Method::Recursive),
        ("fixed:git:", Method::Git),
        ("fixed:", Method::Flat),
    ]
    .into_iter()
    .find_map(|(prefix, method)| Some((method, ca.strip_prefix(prefix)?)))
}

fn parse(ca: &str) -> Option<(Method, &str, Vec<u8>)> {
    let (method, rest) = split(ca)?;
    let (algorithm, digits) = rest.split_once(':')?;
    let bytes = match hash_len(algorithm)? {
        16 => base32::decode::<16>(digits)?.to_vec(),
        20 => base32::decode::<20>(digits)?.to_vec(),
        32 => base32::decode::<32>(digits)?.to_vec(),
        _ => base32::decode::<64>(digits)?.to_vec(),
    };
    Some((method, algorithm, bytes))
}

/// The hash part of a store path of a type, with a SHA-256 inside.
fn hash_part(kind: &str, sha256: &[u8], store_dir: &str, name: &str) -> String {
    let text = format!("{kind}:sha256:{}:{store_dir}:{name}", hex(sha256));
    let mut folded = [0; 20];
    for (place, byte) in Sha256::digest(text).iter().enumerate() {
        folded[place % 20] ^= byte;
    }
    base32::encode(&folded)
}

/// The type of a path with references.
fn kind(name: &str, store_dir: &str, others: &[&String], itself: bool) -> String {
    let mut kind = name.to_owned();
    for other in others {
        kind = format!("{kind}:{store_dir}/{other}");
    }
    if itself { format!("{kind}:self") } else { kind }
}

/// A NAR with the path's own hash blanked out, as Nix hashes what refers to itself; and the same followed by where it was,
/// as older Nix does (2.8; no more in 2.26).
fn modulo(nar: &[u8], own: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = nar.to_vec();
    let mut places = Vec::new();
    let mut at = 0;
    while at + own.len() <= bytes.len() {
        if bytes[at..].starts_with(own) {
            places.push(at);
            bytes[at..at + own.len()].fill(0);
            at += own.len();
        } else {
            at += 1;
        }
    }
    let mut with_places = bytes.clone();
    for place in places {
        with_places.extend(format!("|{place}").bytes());
    }
    (bytes, with_places)
}

/// Checks the content address of a path, if it has one, against its NAR.
pub fn verdict(store_dir: &str, info: &NarInfo, nar: &[u8], node: &Node) -> Verdict {
    let Some(ca) = &info.ca else {
        return Verdict::Fits;
    };
    if let Some((_, rest)) = split(ca)
        && let Some((algorithm, _)) = rest.split_once(':')
        && hash_len(algorithm).is_none()
    {
        return Verdict::Unknown(format!("'{ca}', whose algorithm this checker does not know"));
    }
    let Some((method, algorithm, hash)) = parse(ca) else {
        return Verdict::Wrong(format!("'{ca}' is not a content address"));
    };
    let (own, others): (Vec<&String>, Vec<&String>) = info
        .references
        .iter()
        .partition(|reference| **reference == info.base_name);
    let itself = !own.is_empty();
    let name = info.name_part();
    let part = match method {
        Method::Text if algorithm == "sha256" && !itself => {
            hash_part(&kind("text", store_dir, &others, false), &hash, store_dir, name)
        }
        Method::Recursive if algorithm == "sha256" => hash_part(
            &kind("source", store_dir, &others, itself),
            &hash,
            store_dir,
            name,
        ),
        Method::Flat | Method::Recursive | Method::Git if info.references.is_empty() => {
            let prefix = match method {
                Method::Recursive => "r:",
                Method::Git => "git:",
                _ => "",
            };
            let inner = Sha256::digest(format!("fixed:out:{prefix}{algorithm}:{}:", hex(&hash)));
            hash_part("output:out", &inner, store_dir, name)
        }
        _ => return Verdict::Wrong(format!("'{ca}' does not allow these references or this hash")),
    };
    if part != info.hash_part() {
        return Verdict::Wrong(format!("'{ca}' gives the store path {part}-{name}"));
    }
    let found = match (method, node) {
        (Method::Recursive, _) if itself => {
            let (now, before) = modulo(nar, &info.base_name.as_bytes()[..HASH_LEN]);
            vec![digest(algorithm, &now), digest(algorithm, &before)]
        }
        (Method::Recursive, _) => vec![digest(algorithm, nar)],
        (Method::Git, _) => vec![git(nar, node, algorithm).map(|(_, hash)| hash)],
        (_, Node::Regular { offset, size, .. }) => vec![digest(algorithm, &nar[*offset..offset + size])],
        _ => return Verdict::Wrong(format!("'{ca}' is for a regular file")),
    };
    if found.contains(&Some(hash)) {
        Verdict::Fits
    } else {
        Verdict::Wrong(format!("'{ca}' is not the hash of the contents"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_objects_have_the_hashes_that_git_gives_them() {
        let nar = b"hi\nz\ny\n#!\n";
        let file = |offset, size, executable| Node::Regular {
            executable,
            offset,
            size,
        };
        let folder = |name: &[u8], node| Node::Directory(vec![(name.to_vec(), node)]);
        let tree = Node::Directory(vec![
            (b"a".to_vec(), file(0, 3, false)),
            (b"l".to_vec(), Node::Symlink(b"a".to_vec())),
            (b"sub".to_vec(), folder(b"z", file(3, 2, false))),
            (b"sub.d".to_vec(), folder(b"y", file(5, 2, false))),
            (b"x".to_vec(), file(7, 3, true)),
        ]);
        let hash = |node, algorithm| hex(&git(nar, node, algorithm).unwrap().1);
        // By `git write-tree` and `git hash-object`, and by `nix store add --mode git`.
        assert_eq!(hash(&tree, "sha1"), "5cd2d6905986ea2be440fc1c154ce61a704bb344");
        assert_eq!(
            hash(&tree, "sha256"),
            "8520ef4f795af3c6d84981be7bd19b14eb92a9e20bb9660568fdc653c13feeac"
        );
        let one = file(0, 3, false);
        assert_eq!(hash(&one, "sha1"), "45b983be36b73c0788dc9cbcb76cbb80fc7bb057");
    }

    #[test]
    fn an_algorithm_of_the_future_is_not_checked_and_said_so() {
        let info = |ca: &str| NarInfo {
            base_name: format!("{}-x", "0".repeat(HASH_LEN)),
            url: String::new(),
            compression: String::new(),
            file_hash: None,
            file_size: None,
            nar_hash: [0; 32],
            nar_size: 0,
            references: Vec::new(),
            signatures: Vec::new(),
            ca: Some(ca.to_owned()),
        };
        let verdict = |ca: &str| verdict("/nix/store", &info(ca), b"", &Node::Symlink(b"x".to_vec()));
        assert!(matches!(verdict("fixed:r:sha3-256:0000"), Verdict::Unknown(_)));
        for ca in ["fixed:r:sha256:0000", "nonsense", "text:", "fixed:git:sha1"] {
            assert!(matches!(verdict(ca), Verdict::Wrong(_)), "{ca}");
        }
    }
}
