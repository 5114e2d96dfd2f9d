#!/usr/bin/env bash
# rclone serve s3 wants part numbers without gaps.
#
# One would guess that parts 3 and 7 make an object, since S3 asks for ascending numbers only. rclone takes both parts and
# refuses the completion with "InvalidPart".
# An uploader that numbers parts by their offset, or that leaves out a part it did not need, works on other services.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_rclone
guess "200 for 1, 2 and for 3, 7"
result=$(probe <<'END'
from s3client import outcome, s3
for numbers in ((1, 2), (3, 7)):
    upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
    parts = []
    for number in numbers:
        part = s3.upload_part(Bucket="cache", Key="nar", UploadId=upload, PartNumber=number, Body=b"x" * 5242880)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    print(numbers, outcome(s3.complete_multipart_upload, Bucket="cache", Key="nar", UploadId=upload, MultipartUpload={"Parts": parts}))
END
)
seen "$result"
holds "$result" = "(1, 2) 200
(3, 7) 400 InvalidPart: InvalidPart"
