#!/usr/bin/env bash
# Part: AWS SDK for JavaScript 3.1175.0 with versitygw 1.8.0
# An object that the AWS SDK for JavaScript sends from a stream depends on how large the pieces of the stream are.
#
# One would guess that PutObject with a Readable sends the same request however the stream happens to be cut. The SDK makes each
# piece one chunk of the signed body, and S3 wants at least 8192 bytes in all chunks but the last: versitygw enforces that (400),
# as Amazon does by its documentation; MinIO and Garage take any size.
# The output of a compressor comes in pieces of any size. What passes against MinIO fails elsewhere, for some objects only.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @aws-sdk/client-s3@3.1175.0
start_versitygw
version "@aws-sdk/client-s3 3.1175.0"
guess "stored each time"
result=$(run_node 2>/dev/null <<'END'
import { S3Client, PutObjectCommand } from "@aws-sdk/client-s3";
import { Readable } from "node:stream";
const client = new S3Client({ endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 });
for (const pieces of [[12000], [9000, 3000], [3000, 9000]]) {
  const body = Readable.from(pieces.map((size) => Buffer.alloc(size)));
  await client.send(new PutObjectCommand({ Bucket: "cache", Key: "nar", Body: body, ContentLength: 12000 })).then(
    () => console.log(pieces.join(" + "), "stored"), (error) => console.log(pieces.join(" + "), error.name));
}
END
)
seen "$result"
holds "$result" = "12000 stored
9000 + 3000 stored
3000 + 9000 InvalidChunkSizeError"
