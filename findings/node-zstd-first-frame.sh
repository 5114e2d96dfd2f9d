#!/usr/bin/env bash
# Part: Node.js 24.19.0
# Node.js reads the first frame of a zstd file of several frames and says nothing of the rest.
#
# One would guess both, as the `zstd` program gives and as gunzipSync() of the same module does for a gzip file of two members.
# zstdDecompressSync() and fetch() stop after the first frame, without an error.
# Compressors that work in parallel, append to a log or make files seekable write many frames: of such a NAR only the beginning is left.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_node
version "Node.js $(node --version)"
guess "onetwo each time"
result=$(run_node <<'END'
import http from "node:http";
import zlib from "node:zlib";
const coders = { gzip: [zlib.gzipSync, zlib.gunzipSync], zstd: [zlib.zstdCompressSync, zlib.zstdDecompressSync] };
let answer;
const server = http.createServer((_, response) => {
  response.writeHead(200, { "Content-Encoding": answer.name, "Content-Length": answer.body.length });
  response.end(answer.body);
}).listen(0, "127.0.0.1", async () => {
  for (const [name, [compress, decompress]] of Object.entries(coders)) {
    answer = { name, body: Buffer.concat([compress("one"), compress("two")]) };
    console.log(name, "all:", decompress(answer.body).toString());
    console.log(name, "fetch:", await (await fetch(`http://127.0.0.1:${server.address().port}`)).text());
  }
  process.exit();
});
END
)
seen "$result"
holds "$result" = "gzip all: onetwo
gzip fetch: onetwo
zstd all: one
zstd fetch: one"
