//! Content addresses: the store path and the contents that `CA` claims, computed again.

use sha2::{Digest as _, Sha256, Sha512};

use crate::base32::{self, hex};
use crate::nar::Node;
use crate::narinfo::{HASH_LEN, NarInfo};

/// What comes of recomputing a content address.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Path and contents are what it says.
    Fits,
    /// The path fits; the contents are hashed in a way that this checker does not know.
    Unknown(String),
    /// It is wrong.
    Wrong(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Text,
    Flat,
    Recursive,
}

/// Number of bytes of a hash.
fn hash_len(algorithm: &str) -> Option<usize> {
    match algorithm {
        "md5" => Some(16),
        "sha1" => Some(20),
        "sha256" => Some(32),
        "sha512" => Some(64),
        _ => None,
    }
}

fn parse(ca: &str) -> Option<(Method, &str, Vec<u8>)> {
    let (method, rest) = if let Some(rest) = ca.strip_prefix("text:") {
        (Method::Text, rest)
    } else if let Some(rest) = ca.strip_prefix("fixed:r:") {
        (Method::Recursive, rest)
    } else {
        (Method::Flat, ca.strip_prefix("fixed:")?)
    };
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

/// A NAR with the path's own hash blanked out, followed by where it was, as Nix hashes what refers to itself.
fn modulo(nar: &[u8], own: &[u8]) -> Vec<u8> {
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
    for place in places {
        bytes.extend(format!("|{place}").bytes());
    }
    bytes
}

/// Checks the content address of a path, if it has one, against its NAR.
pub fn verdict(store_dir: &str, info: &NarInfo, nar: &[u8], node: &Node) -> Verdict {
    let Some(ca) = &info.ca else {
        return Verdict::Fits;
    };
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
        Method::Flat | Method::Recursive if info.references.is_empty() => {
            let prefix = if method == Method::Recursive { "r:" } else { "" };
            let inner = Sha256::digest(format!("fixed:out:{prefix}{algorithm}:{}:", hex(&hash)));
            hash_part("output:out", &inner, store_dir, name)
        }
        _ => return Verdict::Wrong(format!("'{ca}' does not allow these references or this hash")),
    };
    if part != info.hash_part() {
        return Verdict::Wrong(format!("'{ca}' gives the store path {part}-{name}"));
    }
    let contents = match (method, node) {
        (Method::Recursive, _) if itself => modulo(nar, &info.base_name.as_bytes()[..HASH_LEN]),
        (Method::Recursive, _) => nar.to_vec(),
        (_, Node::Regular { offset, size, .. }) => nar[*offset..offset + size].to_vec(),
        _ => return Verdict::Wrong(format!("'{ca}' is for a regular file")),
    };
    let found = match algorithm {
        "sha256" => Sha256::digest(&contents).to_vec(),
        "sha512" => Sha512::digest(&contents).to_vec(),
        _ => return Verdict::Unknown(format!("the contents of '{ca}'")),
    };
    if found == hash {
        Verdict::Fits
    } else {
        Verdict::Wrong(format!("'{ca}' is not the hash of the contents"))
    }
}
