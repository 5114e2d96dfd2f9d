#!/usr/bin/env bash
# Part: versitygw 1.8.0 with the AWS SDK for JavaScript 3.1175.0
# versitygw drops the metadata of a presigned PUT without a word.
#
# One would guess that the object has it, as on MinIO and Garage. The presigner of the AWS SDK for JavaScript puts x-amz-meta-* headers
# into the query, where they are signed; versitygw checks the signature and reads metadata from headers only.
# The same SDK sends them as headers when it uploads itself, so that only presigned uploads come without metadata.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @aws-sdk/client-s3@3.1175.0 @aws-sdk/s3-request-presigner@3.1169.0
start_versitygw
version "@aws-sdk/client-s3 3.1175.0, @aws-sdk/s3-request-presigner 3.1169.0"
guess "path=hello each time"
result=$(run_node 2>/dev/null <<'END'
import { S3Client, PutObjectCommand, HeadObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
const client = new S3Client({ endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED" });
const put = (Key) => new PutObjectCommand({ Bucket: "cache", Key, Metadata: { path: "hello" }, Body: Key === "sent" ? "x" : undefined });
await client.send(put("sent"));
const answer = await fetch(await getSignedUrl(client, put("presigned")), { method: "PUT", body: "x" });
console.log("presigned:", answer.status);
for (const Key of ["sent", "presigned"]) {
  console.log(Key, JSON.stringify((await client.send(new HeadObjectCommand({ Bucket: "cache", Key }))).Metadata));
}
END
)
seen "$result"
holds "$result" = 'presigned: 200
sent {"path":"hello"}
presigned {}'
