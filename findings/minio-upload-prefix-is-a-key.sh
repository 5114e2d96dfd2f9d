#!/usr/bin/env bash
# The prefix of ListMultipartUploads is a whole key on MinIO.
#
# One would guess that prefix=nar/ lists the uploads to all keys below nar/, as it does in ListObjectsV2 of the same
# server. MinIO lists an upload only if the prefix is exactly its key: every real prefix gives an empty list.
# A cache that shares a bucket and cleans up only below its own prefix never finds an abandoned upload.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "prefix=nar/ lists the uploads to nar/one and nar/two"
result=$(probe <<'END'
from s3client import s3
for key in ("nar/one", "nar/two"):
    s3.create_multipart_upload(Bucket="cache", Key=key)
for prefix in ("nar/", "nar/one", ""):
    answer = s3.list_multipart_uploads(Bucket="cache", Prefix=prefix)
    print(f"prefix={prefix!r}:", [upload["Key"] for upload in answer.get("Uploads", [])])
END
)
seen "$result"
holds "$result" = "prefix='nar/': []
prefix='nar/one': ['nar/one']
prefix='': ['nar/one', 'nar/two']"
