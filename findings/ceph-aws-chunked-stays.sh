#!/usr/bin/env bash
# Part: Ceph RGW 18.2.7 with the AWS SDK for JavaScript 3.1175.0
# An object sent in signed chunks keeps "aws-chunked" in its Content-Encoding on Ceph.
#
# One would guess that the service takes the transfer's own coding off, header and framing, as S3 does. Ceph removes the framing and
# stores the header whole: the object says "zstd,aws-chunked", a coding no HTTP client knows, or "aws-chunked" where none was
# given. SDKs send that coding by default whenever the body is a stream. S3Proxy 3.1.0 does the same.
# Readers that decode Content-Encoding refuse such objects (libcurl, with error 61) or hand out compressed bytes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @aws-sdk/client-s3@3.1175.0
start_ceph
version "@aws-sdk/client-s3 3.1175.0"
guess "zstd for the stream, as for the string"
result=$(run_node 2>/dev/null <<'END'
import { S3Client, PutObjectCommand, GetObjectCommand } from "@aws-sdk/client-s3";
import { Readable } from "node:stream";
const client = new S3Client({ endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 });
for (const [name, body] of [["string", "hello"], ["stream", Readable.from([Buffer.from("hello")])]]) {
  await client.send(new PutObjectCommand({ Bucket: "cache", Key: name, Body: body, ContentLength: 5, ContentEncoding: "zstd" }));
  const object = await client.send(new GetObjectCommand({ Bucket: "cache", Key: name }));
  console.log(`${name}: ${object.ContentEncoding}, ${await object.Body.transformToString()}`);
}
END
)
seen "$result"
holds "$result" = "string: zstd, hello
stream: zstd,aws-chunked, hello"
