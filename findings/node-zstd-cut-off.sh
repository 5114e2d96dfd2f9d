#!/usr/bin/env bash
# Part: Node.js 24.19.0
# Decompressing a zstd file that is cut off is no error for Node.js.
#
# One would guess the error that its module zlib raises for gzip and brotli ("unexpected end of file"). For zstd there is none:
# zstdDecompressSync() and the stream give what could be decompressed so far, and that is the end.
# A download that broke off gives a shorter NAR and no reason, where the same program with gzip fails.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_node
version "Node.js $(node --version)"
guess "an error each time"
result=$(run_node <<'END'
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";
const data = Buffer.from(Array.from({ length: 400000 }, (_, at) => (at * at * 31) >> 7));
const coders = {
  gzip: [zlib.gzipSync, zlib.gunzipSync, zlib.createGunzip],
  br: [zlib.brotliCompressSync, zlib.brotliDecompressSync, zlib.createBrotliDecompress],
  zstd: [zlib.zstdCompressSync, zlib.zstdDecompressSync, zlib.createZstdDecompress],
};
for (const [name, [compress, decompress, stream]] of Object.entries(coders)) {
  const body = compress(data);
  const cut = body.subarray(0, body.length - 20);
  const ways = {
    all: async () => decompress(cut).length,
    stream: async () => {
      let size = 0;
      await pipeline(Readable.from([cut]), stream(), new Writable({ write: (piece, _, done) => done(void (size += piece.length)) }));
      return size;
    },
  };
  for (const [way, read] of Object.entries(ways)) {
    await read().then((size) => console.log(name, way, size < data.length ? "shorter, no error" : "all"), () => console.log(name, way, "error"));
  }
}
END
)
seen "$result"
holds "$result" = "gzip all error
gzip stream error
br all error
br stream error
zstd all shorter, no error
zstd stream shorter, no error"
