#!/usr/bin/env bash
# Part: Node.js 24.19.0 with pzstd 1.5.4 (Debian 12)
# A file that pzstd wrote is empty for Node.js.
#
# One would guess the contents: pzstd comes with zstd, and its output is a valid zstd file. It begins with a skippable frame, and
# zstdDecompressSync() of Node.js stops after it: no bytes and no error. createZstdDecompress() does the same.
# Seekable files and files with metadata in front are empty as well; only the size in the narinfo tells that something is wrong.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_node
command_from "$(debian bookworm zstd=1.5.4+dfsg2-5)" pzstd
command_from "$(debian bookworm zstd=1.5.4+dfsg2-5)" zstd
version "Node.js $(node --version), pzstd of zstd 1.5.4"
guess "5000 bytes each time"
head -c 5000 /dev/zero >"$work/nar"
(cd "$work" && zstd -q nar -o nar.zst && pzstd -q nar -o nar.pzst)
result=$(
    cd "$work"
    for file in nar.zst nar.pzst; do
        echo "$file: zstd reads $(zstd -dc "$file" | wc -c), Node.js $(node -p 'require("zlib").zstdDecompressSync(require("fs").readFileSync(process.argv[1])).length' "$file")"
    done
)
seen "$result"
holds "$result" = "nar.zst: zstd reads 5000, Node.js 5000
nar.pzst: zstd reads 5000, Node.js 0"
