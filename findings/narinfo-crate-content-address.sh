#!/usr/bin/env bash
# Part: narinfo 1.0.1 (crates.io)
# The narinfo crate cannot read the narinfo of a content-addressed path.
#
# One would guess that a parser of the format knows the field CA, which Nix writes for sources, fixed outputs and texts,
# and that it skips fields it does not know, as Nix does. It knows the fields of its sample and refuses all others.
# It reads most of a cache, as most paths are addressed by their inputs, and fails for each source and for what comes next.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "narinfo 1.0.1"
guess "all three are read"
result=$(run_rust 'narinfo = "=1.0.1"' <<'END'
fn main() {
    let hash = "0".repeat(52);
    let plain = format!(
        "StorePath: /nix/store/{}-hello\nURL: nar/{hash}.nar.zst\nCompression: zstd\nFileHash: sha256:{hash}\nFileSize: 100\n\
         NarHash: sha256:{hash}\nNarSize: 200\nReferences: {}-hello\n",
        "0".repeat(32),
        "0".repeat(32)
    );
    for (name, line) in [("plain", ""), ("CA", &format!("CA: fixed:r:sha256:{hash}\n")), ("a new field", "Provenance: x\n")] {
        let text = format!("{plain}{line}");
        let answer = match narinfo::NarInfo::parse(&text) {
            Ok(info) => format!("read, size {}", info.nar_size),
            Err(error) => format!("{error:?}"),
        };
        println!("{name}: {answer}");
    }
}
END
)
seen "$result"
holds "$result" = 'plain: read, size 200
CA: UnknownKey { key: "CA" }
a new field: UnknownKey { key: "Provenance" }'
