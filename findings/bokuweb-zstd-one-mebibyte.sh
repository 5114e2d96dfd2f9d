#!/usr/bin/env bash
# Part: @bokuweb/zstd-wasm 0.0.27 (npm)
# @bokuweb/zstd-wasm reads streamed zstd data up to one mebibyte and fails above it.
#
# One would guess that data without a size in its header is read or refused, however large it is. decompress() makes room for 1 MiB and
# passes on the library's error where it does not suffice, under the name of the other direction: "Failed to compress".
# A page that shows build logs works until somebody has a long one. The option is defaultHeapSize, which has to be guessed too.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @bokuweb/zstd-wasm@0.0.27
pip_install zstandard==0.25.0
version "@bokuweb/zstd-wasm 0.0.27"
guess "the contents each time"
python3 - "$work" <<'END'
import sys, zstandard
for size in (1 << 20, (1 << 20) + 1):
    stream = zstandard.ZstdCompressor().compressobj()
    open(f"{sys.argv[1]}/stream-{size}", "wb").write(stream.compress(bytes(size)) + stream.flush())
    open(f"{sys.argv[1]}/whole-{size}", "wb").write(zstandard.ZstdCompressor().compress(bytes(size)))
END
result=$(cd "$work" && run_node <<'END'
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
const zstd = createRequire(import.meta.url)("@bokuweb/zstd-wasm");
await zstd.init();
for (const name of ["whole-1048577", "stream-1048576", "stream-1048577"])
  try {
    console.log(name, zstd.decompress(readFileSync(name)).length);
  } catch (error) {
    console.log(name, error.message.replace(/ -\d+$/, ""));
  }
END
)
seen "$result"
holds "$result" = "whole-1048577 1048577
stream-1048576 1048576
stream-1048577 Failed to compress with code"
