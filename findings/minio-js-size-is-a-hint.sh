#!/usr/bin/env bash
# Part: minio 8.0.7 (npm) with MinIO 2026-02-12
# putObject() of MinIO's JavaScript client stores whatever the stream has, not the number of bytes that it was told.
#
# One would guess an error if the stream ends before `size` bytes, as the client for Python raises, or has more. Any client must
# do so that sends Content-Length first. The size chooses between two ways of uploading, and that is all.
# A source that ends early, such as a compressor that died, leaves a whole object with a good ETag.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install minio@8.0.7
start_minio
version "minio 8.0.7"
guess "6 of 6 is stored, the others are errors"
result=$(run_node <<'END'
import { Readable } from "node:stream";
import { Client } from "minio";
const { hostname, port } = new URL(process.env.ENDPOINT);
const client = new Client({ endPoint: hostname, port: Number(port), useSSL: false, region: "us-east-1",
  accessKey: process.env.AWS_ACCESS_KEY_ID, secretKey: process.env.AWS_SECRET_ACCESS_KEY });
for (const size of [6, 9, 3]) {
  const put = client.putObject("cache", "nar", Readable.from([Buffer.from("abcdef")]), size);
  await put.then(async () => console.log(`6 bytes of ${size}: ${(await client.statObject("cache", "nar")).size} bytes stored`),
    (error) => console.log(`6 bytes of ${size}: ${error.message}`));
}
END
)
seen "$result"
holds "$result" = "6 bytes of 6: 6 bytes stored
6 bytes of 9: 6 bytes stored
6 bytes of 3: 6 bytes stored"
