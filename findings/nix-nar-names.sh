#!/usr/bin/env bash
# Part: nix-nar 0.6.0 (crates.io)
# The nix-nar crate reads and writes no NAR with a file name, or a link's target, that is not UTF-8.
#
# One would guess bytes, as for Nix: names in a NAR are strings of bytes without NUL and slash, and packages with Latin-1 names exist (test
# data of archivers and version control systems). Nix writes and reads the same tree.
# The error comes in the middle of an archive, for a few paths of a large cache.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
version "nix-nar 0.6.0"
guess "read and written by both"
mkdir "$work/tree" "$work/restored"
: >"$work/tree"/$'caf\xe9'
export NIX_NAR_TREE=$work/tree NIX_NAR_FILE=$work/tree.nar
nix_of 2.34 reader nix-store --dump "$work/tree" >"$work/tree.nar"
nix_of 2.34 reader nix-store --restore "$work/restored/tree" <"$work/tree.nar"
result="Nix: $(ls -b "$work/restored/tree")"$'\n'
result+=$(run_rust 'nix-nar = "=0.6.0"' <<'END'
use std::{env::var, fs::File, io::Read};

fn main() {
    let read = nix_nar::Decoder::new(File::open(var("NIX_NAR_FILE").unwrap()).unwrap())
        .unwrap()
        .entries()
        .unwrap()
        .map(|entry| entry.map(|entry| entry.path.map_or(String::new(), |path| path.to_string())))
        .collect::<Result<Vec<_>, _>>();
    println!("read: {}", read.map_or_else(|error| error.to_string(), |names| format!("{names:?}")));
    let written = nix_nar::Encoder::new(var("NIX_NAR_TREE").unwrap()).map_err(|error| error.to_string())
        .and_then(|mut encoder| encoder.read_to_end(&mut Vec::new()).map_err(|error| error.to_string()));
    println!("written: {}", written.map_or_else(|error| error.split(": ").nth(1).unwrap().to_owned(), |size| size.to_string()));
}
END
)
seen "$result"
holds "$result" = 'Nix: caf\351
read: Parse error: failed to parse filename: incomplete utf-8 byte sequence from index 3
written: PathBuf contains invalid UTF-8'
