//! NARs as they are stored.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::nar::{self, Node};

/// The largest NAR that is decompressed; a small object may claim to hold terabytes.
const MAX_NAR_SIZE: u64 = 4 << 30;

/// A stored NAR, decompressed and read.
pub struct Nar {
    /// SHA-256 of the stored bytes.
    pub file_hash: [u8; 32],
    /// Number of the stored bytes.
    pub file_size: u64,
    /// What is inside, or why that cannot be said.
    pub contents: Result<Contents, String>,
}

/// What is inside a stored NAR.
pub struct Contents {
    /// SHA-256 of the NAR.
    pub hash: [u8; 32],
    /// Size of the NAR.
    pub size: u64,
    /// The tree in the NAR, or why there is none.
    pub tree: Result<Node, String>,
}

impl Contents {
    /// The listing that belongs to it.
    pub fn listing(&self) -> Option<Value> {
        self.tree.as_ref().ok().map(Node::listing)
    }
}

/// Pipes bytes through a program that reads standard input and writes standard output.
fn through(program: &str, stored: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut input = tempfile::tempfile()?;
    input.write_all(stored)?;
    std::io::Seek::rewind(&mut input)?;
    let mut command = Command::new(program);
    command.arg("-dc").stdin(input).stdout(Stdio::piped());
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.stdout)
}

/// Decompresses what is stored.
pub fn decompress(compression: &str, stored: &[u8]) -> Result<Vec<u8>, String> {
    let done = match compression {
        "none" => Ok(stored.to_vec()),
        "zstd" => {
            let mut nar = Vec::new();
            zstd::Decoder::new(stored)
                .and_then(|decoder| decoder.take(MAX_NAR_SIZE).read_to_end(&mut nar))
                .map(|_| nar)
                .map_err(anyhow::Error::from)
        }
        "xz" => through("xz", stored),
        "bzip2" => through("bzip2", stored),
        "gzip" => through("gzip", stored),
        "br" => through("brotli", stored),
        _ => return Err(format!("unknown compression '{compression}'")),
    };
    done.map_err(|error| format!("{compression}: {error:#}"))
}

/// Looks at a stored NAR.
pub fn read(compression: &str, stored: &[u8]) -> Nar {
    let contents = decompress(compression, stored).map(|nar| Contents {
        hash: Sha256::digest(&nar).into(),
        size: nar.len() as u64,
        tree: nar::parse(&nar),
    });
    Nar {
        file_hash: Sha256::digest(stored).into(),
        file_size: stored.len() as u64,
        contents,
    }
}
