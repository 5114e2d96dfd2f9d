#!/usr/bin/env bash
# Garage takes no empty part, so a multipart upload cannot make an empty object.
#
# One would guess that one empty part is fine: the last part may have any size, and MinIO and versitygw make an object of
# 0 bytes of it. Garage answers 400 "Empty body" to the part, and 400 to a completion without parts.
# An uploader that streams an input of unknown length in parts needs a plain PUT for the case that nothing comes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_garage
guess "200"
result=$(probe <<'END'
from s3client import outcome, s3
upload = s3.create_multipart_upload(Bucket="cache", Key="empty")["UploadId"]
print("part:", outcome(s3.upload_part, Bucket="cache", Key="empty", UploadId=upload, PartNumber=1, Body=b""))
print("PUT:", outcome(s3.put_object, Bucket="cache", Key="empty", Body=b""))
END
)
seen "$result"
holds "$result" = "part: 400 InvalidRequest: Bad request: Empty body
PUT: 200"
