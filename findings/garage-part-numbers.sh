#!/usr/bin/env bash
# Garage takes parts with the numbers 0 and 10001.
#
# One would guess 400 InvalidArgument: S3 allows 1 to 10000, and the other services enforce it. Garage stores both parts and
# makes an object of them.
# A test of an uploader's arithmetic that runs on Garage does not notice parts that other services refuse.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_garage
guess "400 for both parts"
result=$(probe <<'END'
from s3client import outcome, s3
upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
parts = []
for number in (0, 10001):
    part = s3.upload_part(Bucket="cache", Key="nar", UploadId=upload, PartNumber=number, Body=b"x" * 5242880)
    parts.append({"PartNumber": number, "ETag": part["ETag"]})
    print(number, part["ResponseMetadata"]["HTTPStatusCode"])
print("Complete:", outcome(s3.complete_multipart_upload, Bucket="cache", Key="nar", UploadId=upload, MultipartUpload={"Parts": parts}))
END
)
seen "$result"
holds "$result" = "0 200
10001 200
Complete: 200"
