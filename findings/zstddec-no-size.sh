#!/usr/bin/env bash
# Part: zstddec 0.3.4 (npm)
# zstddec returns 16 MiB for a zstd frame of 300 bytes that was written as a stream.
#
# One would guess the contents, or an error: a stream's frame does not say how large its contents are. decode() without a size takes
# the error code for "unknown" as a size and returns a piece of its memory that does not hold the contents; given the size, it works.
# `zstd` writes the size for files and not for pipes, so tests with files pass.
# NARs and build logs are compressed while they are written, so hardly one of them says its size.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install zstddec@0.3.4
pip_install zstandard==0.25.0
version "zstddec 0.3.4"
guess "300 bytes each time, or an error"
python3 - "$work" <<'END'
import sys, zstandard
data = b"NAR" * 100
open(sys.argv[1] + "/whole.zst", "wb").write(zstandard.ZstdCompressor().compress(data))
stream = zstandard.ZstdCompressor().compressobj()
open(sys.argv[1] + "/stream.zst", "wb").write(stream.compress(data) + stream.flush())
END
result=$(cd "$work" && run_node <<'END'
import { readFileSync } from "node:fs";
import { ZSTDDecoder } from "zstddec";
const decoder = new ZSTDDecoder();
await decoder.init();
for (const name of ["whole", "stream"]) {
  const out = decoder.decode(new Uint8Array(readFileSync(`${name}.zst`)));
  console.log(name, out.length > 16e6 ? "more than 16000000" : out.length, "bytes, starts well:", Buffer.from(out.subarray(0, 300)).equals(Buffer.from("NAR".repeat(100))));
}
console.log("stream, size given", decoder.decode(new Uint8Array(readFileSync("stream.zst")), 300).length, "bytes");
END
)
seen "$result"
holds "$result" = "whole 300 bytes, starts well: true
stream more than 16000000 bytes, starts well: false
stream, size given 300 bytes"
