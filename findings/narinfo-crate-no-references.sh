#!/usr/bin/env bash
# Part: narinfo 1.0.1 (crates.io)
# A path without references has one reference for the narinfo crate, the empty one.
#
# One would guess an empty list for "References: ", the form that Nix writes for such paths (and wants, space included). The value is split
# at spaces, which makes one empty string of an empty one.
# Whoever follows references asks the cache for ".narinfo", or takes each source and each static program for broken.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "narinfo 1.0.1"
guess "[] for none"
result=$(run_rust 'narinfo = "=1.0.1"' <<'END'
fn main() {
    let (path, hash) = ("0".repeat(32), "0".repeat(52));
    for references in [format!("{path}-a {path}-b"), String::new()] {
        let text = format!(
            "StorePath: /nix/store/{path}-a\nURL: nar/{hash}.nar.zst\nCompression: zstd\nFileHash: sha256:{hash}\nFileSize: 100\n\
             NarHash: sha256:{hash}\nNarSize: 200\nReferences: {references}\n"
        );
        let info = narinfo::NarInfo::parse(&text).unwrap();
        println!("{:?}", info.references.iter().map(|name| name.trim_start_matches('0')).collect::<Vec<_>>());
    }
}
END
)
seen "$result"
holds "$result" = '["-a", "-b"]
[""]'
