#!/usr/bin/env bash
# rclone serve s3 answers 200 to a repeated CompleteMultipartUpload although the object has been deleted since.
#
# One would guess 404 NoSuchUpload, or that the object is there again. rclone remembers the answer of the first time and
# repeats it; GET is 404.
# A cache that retries a lost answer while a garbage collection runs records an object that does not exist.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_rclone
guess "404 NoSuchUpload, then 404"
result=$(probe <<'END'
from s3client import outcome, s3
upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
part = s3.upload_part(Bucket="cache", Key="nar", UploadId=upload, PartNumber=1, Body=b"part")
complete = dict(Bucket="cache", Key="nar", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
s3.complete_multipart_upload(**complete)
s3.delete_object(Bucket="cache", Key="nar")
print("Complete:", outcome(s3.complete_multipart_upload, **complete))
print("HEAD:", outcome(s3.head_object, Bucket="cache", Key="nar")[:3])
END
)
seen "$result"
holds "$result" = "Complete: 200
HEAD: 404"
