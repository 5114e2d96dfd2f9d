#!/usr/bin/env bash
# Part: minio 8.0.7 (npm) with MinIO 2026-02-12
# MinIO's JavaScript client continues a multipart upload that somebody else began, and the object gets the other's headers.
#
# One would guess that putObject() of a stream begins an upload of its own. It looks for an unfinished upload of the same key
# first and puts its parts there: the Content-Type and the metadata that it was given are dropped, those of the other upload stay.
# Two clients that push the same NAR at once share one upload in the same way, and one of them gets InvalidPart.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install minio@8.0.7
start_minio
version "minio 8.0.7"
guess "each object has the type that its writer gave"
result=$(
    probe <<'END'
from s3client import s3
s3.create_multipart_upload(Bucket="cache", Key="second", ContentType="text/html", Metadata={"writer": "another"})
END
    run_node <<'END'
import { Readable } from "node:stream";
import { Client } from "minio";
const { hostname, port } = new URL(process.env.ENDPOINT);
const client = new Client({ endPoint: hostname, port: Number(port), useSSL: false, region: "us-east-1", partSize: 5 << 20,
  accessKey: process.env.AWS_ACCESS_KEY_ID, secretKey: process.env.AWS_SECRET_ACCESS_KEY });
for (const key of ["first", "second"]) {
  const pieces = [Buffer.alloc(5 << 20), Buffer.alloc(5 << 20)];
  await client.putObject("cache", key, Readable.from(pieces), undefined, { "Content-Type": "application/x-nix-nar", "x-amz-meta-writer": "this one" });
  const { size, metaData } = await client.statObject("cache", key);
  console.log(`${key}: ${size} bytes, ${metaData["content-type"]}, writer: ${metaData.writer}`);
}
END
)
seen "$result"
holds "$result" = "first: 10485760 bytes, application/x-nix-nar, writer: this one
second: 10485760 bytes, text/html, writer: another"
