#!/usr/bin/env bash
# Part: zstd-codec 0.1.5 (npm)
# zstd-codec returns null for good zstd data, and empty contents for data that is cut off, without an error.
#
# One would guess contents for the first and an exception for the second. Simple.decompress() gives null for a frame without a size in
# its header, as every stream has; Streaming.decompress() reads that, and gives zero bytes for the same frame cut in the middle.
# null in one place and nothing in the other look like an empty file to the code that comes next.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install zstd-codec@0.1.5
pip_install zstandard==0.25.0
version "zstd-codec 0.1.5"
guess "300 bytes for the stream, and an error for the one that is cut off"
python3 - "$work" <<'END'
import sys, zstandard
data = b"NAR" * 100
open(sys.argv[1] + "/whole.zst", "wb").write(zstandard.ZstdCompressor().compress(data))
stream = zstandard.ZstdCompressor().compressobj()
frame = stream.compress(data) + stream.flush()
open(sys.argv[1] + "/stream.zst", "wb").write(frame)
open(sys.argv[1] + "/cut.zst", "wb").write(frame[:-5])
END
result=$(cd "$work" && run_node <<'END'
import { readFileSync } from "node:fs";
import zstd from "zstd-codec";
const codec = await new Promise((resolve) => zstd.ZstdCodec.run(resolve));
for (const name of ["whole", "stream", "cut"])
  for (const way of ["Simple", "Streaming"]) {
    const out = new codec[way]().decompress(new Uint8Array(readFileSync(`${name}.zst`)));
    console.log(name, way, out && out.length);
  }
END
)
seen "$result"
holds "$result" = "whole Simple 300
whole Streaming 300
stream Simple null
stream Streaming 300
cut Simple null
cut Streaming 0"
