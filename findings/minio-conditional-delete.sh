#!/usr/bin/env bash
# MinIO deletes the object although If-Match does not match.
#
# One would guess 412, or 501 from a server that does not know conditional deletes: MinIO does enforce If-Match on PUT.
# It ignores the header on DELETE, answers 204 and deletes the object.
# A cache that protects a fresh upload from an old deletion by "delete only if it is still that ETag" loses the upload.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "412 for both requests, and the object stays"
result=$(probe <<'END'
from s3client import outcome, s3
s3.put_object(Bucket="cache", Key="key", Body=b"new")
print("PUT:", outcome(s3.put_object, Bucket="cache", Key="key", Body=b"newer", IfMatch='"old"').split(":")[0])
print("DELETE:", outcome(s3.delete_object, Bucket="cache", Key="key", IfMatch='"old"'))
print("GET:", outcome(s3.get_object, Bucket="cache", Key="key").split(":")[0])
END
)
seen "$result"
holds "$result" = "PUT: 412 PreconditionFailed
DELETE: 204
GET: 404 NoSuchKey"
