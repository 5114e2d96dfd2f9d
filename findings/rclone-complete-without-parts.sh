#!/usr/bin/env bash
# rclone serve s3 completes a multipart upload without parts and replaces the object by an empty one.
#
# One would guess 400, which S3 and the other services answer to a list of parts that is empty. rclone answers 200.
# A client that lost its list of parts, for example after a restart, does not get an error: it publishes an empty NAR.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_rclone
guess "400, and the object keeps its 3 bytes"
result=$(probe <<'END'
from s3client import outcome, s3
s3.put_object(Bucket="cache", Key="nar", Body=b"old")
upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
print(outcome(s3.complete_multipart_upload, Bucket="cache", Key="nar", UploadId=upload, MultipartUpload={"Parts": []}))
print("bytes:", s3.head_object(Bucket="cache", Key="nar")["ContentLength"])
END
)
seen "$result"
holds "$result" = "200
bytes: 0"
