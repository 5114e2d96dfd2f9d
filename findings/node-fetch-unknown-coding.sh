#!/usr/bin/env bash
# Part: Node.js 24.19.0
# One unknown word in Content-Encoding makes fetch() of Node.js decode nothing at all, without an error.
#
# One would guess an error, as curl raises, or that the codings it knows are decoded. With "identity, zstd" or "aws-chunked, zstd" the
# body is the compressed one, and text() makes characters of it. (curl knows "identity", which is a word of the standard.)
# Ceph keeps "aws-chunked" in the header of objects that were uploaded in chunks: a build log with zstd beside it is shown as noise.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_node
version "Node.js $(node --version)"
guess "decoded, or an error, each time"
result=$(run_node <<'END'
import http from "node:http";
import zlib from "node:zlib";
const body = zlib.zstdCompressSync("contents");
let coding;
const server = http.createServer((_, response) => {
  response.writeHead(200, { "Content-Encoding": coding });
  response.end(body);
}).listen(0, "127.0.0.1", async () => {
  for (coding of ["zstd", "identity, zstd", "aws-chunked, zstd"]) {
    const text = await (await fetch(`http://127.0.0.1:${server.address().port}`)).text();
    console.log(`${coding}: ${text === "contents" ? "decoded" : "not decoded"}`);
  }
  process.exit();
});
END
)
seen "$result"
holds "$result" = "zstd: decoded
identity, zstd: not decoded
aws-chunked, zstd: not decoded"
