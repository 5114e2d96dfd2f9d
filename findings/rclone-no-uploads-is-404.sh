#!/usr/bin/env bash
# rclone serve s3 answers 404 to a listing of multipart uploads when there are none.
#
# One would guess 200 and an empty list, as for a listing of objects. rclone answers NoSuchUpload until the bucket has had
# its first multipart upload; after that one was aborted the listing is 200 and empty.
# A clean-up job fails on a fresh bucket, and a client that takes 404 for "no such bucket" misreads it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_rclone
guess "200 both times"
result=$(probe <<'END'
from s3client import outcome, s3
print("fresh:", outcome(s3.list_multipart_uploads, Bucket="cache"))
upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
s3.abort_multipart_upload(Bucket="cache", Key="nar", UploadId=upload)
print("later:", outcome(s3.list_multipart_uploads, Bucket="cache"))
END
)
seen "$result"
holds "$result" = "fresh: 404 NoSuchUpload: NoSuchUpload
later: 200"
