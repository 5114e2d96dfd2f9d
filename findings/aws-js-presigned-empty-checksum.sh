#!/usr/bin/env bash
# Part: AWS SDK for JavaScript 3.1175.0 with Garage 2.5.0
# A presigned PUT of the AWS SDK for JavaScript carries the checksum of an empty body, and Garage enforces it.
#
# One would guess that a URL signed before anybody knows the body has no checksum of it. The SDK computes CRC32 over the body
# that it does not have and puts x-amz-checksum-crc32=AAAAAA== into the query. MinIO and versitygw ignore a checksum there;
# Garage refuses every body but the empty one. requestChecksumCalculation: "WHEN_REQUIRED" leaves it out.
# A push tool that worked with one service fails with the other, with "invalid digest" for bytes that are right.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @aws-sdk/client-s3@3.1175.0 @aws-sdk/s3-request-presigner@3.1169.0
start_garage
version "@aws-sdk/client-s3 3.1175.0, @aws-sdk/s3-request-presigner 3.1169.0"
guess "no checksum in the URL, and 200"
result=$(run_node <<'END'
import { S3Client, PutObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
for (const requestChecksumCalculation of [undefined, "WHEN_REQUIRED"]) {
  const client = new S3Client({ endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true, requestChecksumCalculation });
  const url = await getSignedUrl(client, new PutObjectCommand({ Bucket: "cache", Key: "nar" }));
  const answer = await fetch(url, { method: "PUT", body: "hello" });
  console.log(requestChecksumCalculation ?? "default", "crc32:", new URL(url).searchParams.get("x-amz-checksum-crc32"),
    "answer:", answer.status, /<Code>(.*)<\/Code>/.exec(await answer.text())?.[1] ?? "");
}
END
)
seen "$result"
holds "$result" = "default crc32: AAAAAA== answer: 400 InvalidDigest
WHEN_REQUIRED crc32: null answer: 200 "
