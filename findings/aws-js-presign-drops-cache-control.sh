#!/usr/bin/env bash
# Part: AWS SDK for JavaScript 3.1175.0
# Of three headers that a presigned PUT was asked to have, the AWS SDK for JavaScript signs one and drops two.
#
# One would guess that ContentType, CacheControl and ContentEncoding of the command are treated alike: all become signed headers
# that the uploader has to send, or all go into the query. Only content-encoding is signed; the others are neither signed
# nor in the URL, and no error says so. `signableHeaders` brings back the type, and Cache-Control too.
# Objects get the type that the uploader's HTTP library makes up, and none of the caching that the server meant.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @aws-sdk/client-s3@3.1175.0 @aws-sdk/s3-request-presigner@3.1169.0
version "@aws-sdk/client-s3 3.1175.0, @aws-sdk/s3-request-presigner 3.1169.0"
guess "cache-control;content-encoding;content-type;host, or all in the query"
result=$(run_node <<'END'
import { S3Client, PutObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
const client = new S3Client({ endpoint: "http://127.0.0.1:9000", region: "us-east-1", forcePathStyle: true,
  requestChecksumCalculation: "WHEN_REQUIRED", credentials: { accessKeyId: "findingskey", secretAccessKey: "findingssecret" } });
const url = new URL(await getSignedUrl(client, new PutObjectCommand({ Bucket: "cache", Key: "nar", ContentType: "application/x-nix-nar",
  CacheControl: "max-age=60", ContentEncoding: "zstd" })));
console.log("signed headers:", url.searchParams.get("X-Amz-SignedHeaders"));
console.log("in the URL: type", /nix-nar/.test(url), "caching", /max-age/.test(url), "encoding", /zstd/.test(url));
END
)
seen "$result"
holds "$result" = "signed headers: content-encoding;host
in the URL: type false caching false encoding false"
