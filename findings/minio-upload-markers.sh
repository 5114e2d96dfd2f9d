#!/usr/bin/env bash
# ListMultipartUploads of MinIO cannot be paged.
#
# One would guess that max-uploads bounds the answer and that key-marker and upload-id-marker continue it, as in
# every other listing of S3. MinIO answers with all uploads of the bucket whatever the markers are, says
# IsTruncated=false and gives no next marker. A clean-up job that asks "what comes after the last upload I saw?"
# until it gets an empty page never ends as soon as one upload is open anywhere in the bucket.
# A cache that uploads NARs in parts has such a job. It has to end by IsTruncated, and when a page brings nothing new.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "max-uploads=1 gives one upload, and the page after the last upload is empty"
result=$(probe <<'END'
from s3client import s3
for key in ("a", "b", "c"):
    s3.create_multipart_upload(Bucket="cache", Key=key)
keys = lambda answer: [upload["Key"] for upload in answer.get("Uploads", [])]
everything = s3.list_multipart_uploads(Bucket="cache")
one = s3.list_multipart_uploads(Bucket="cache", MaxUploads=1)
last = everything["Uploads"][-1]
rest = s3.list_multipart_uploads(Bucket="cache", KeyMarker=last["Key"], UploadIdMarker=last["UploadId"])
print("max-uploads=1:", keys(one), "IsTruncated", one["IsTruncated"])
print("after the last upload:", keys(rest), "IsTruncated", rest["IsTruncated"])
END
)
seen "$result"
holds "$result" = "max-uploads=1: ['a', 'b', 'c'] IsTruncated False
after the last upload: ['a', 'b', 'c'] IsTruncated False"
