#!/usr/bin/env bash
# MinIO enforces If-None-Match: * on PUT and ignores it on copies.
#
# One would guess that a conditional copy does not overwrite an object either, or is refused as not implemented.
# MinIO answers 200 and overwrites.
# A cache that publishes by a conditional copy from a staging key replaces objects that others have published.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "412 for both requests, and the first object stays"
result=$(probe <<'END'
from s3client import outcome, s3
s3.put_object(Bucket="cache", Key="staged", Body=b"second")
s3.put_object(Bucket="cache", Key="final", Body=b"first")
print("PUT:", outcome(s3.put_object, Bucket="cache", Key="final", Body=b"second", IfNoneMatch="*").split(":")[0])
print("COPY:", outcome(s3.copy_object, Bucket="cache", Key="final", CopySource={"Bucket": "cache", "Key": "staged"}, IfNoneMatch="*"))
print(s3.get_object(Bucket="cache", Key="final")["Body"].read().decode())
END
)
seen "$result"
holds "$result" = "PUT: 412 PreconditionFailed
COPY: 200
second"
