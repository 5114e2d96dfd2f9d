#!/usr/bin/env bash
# Garage takes a small last part, but not a copy of a small object as the last part.
#
# One would guess that UploadPartCopy may have any size for the last part, as UploadPart may. Garage refuses every source below 5 MiB at
# once, since it cannot know whether another part follows; a part that is sent is only judged when the upload is completed.
# Joining objects on the server's side (large ones and a small rest) fails for the rest, which has to be downloaded and sent.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_garage
guess "200 for both"
result=$(probe <<'END'
from s3client import outcome, s3
s3.put_object(Bucket="cache", Key="rest", Body=b"rest")
upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
s3.upload_part(Bucket="cache", Key="nar", UploadId=upload, PartNumber=1, Body=b"p" * (5 << 20))
print("copied:", outcome(s3.upload_part_copy, Bucket="cache", Key="nar", UploadId=upload, PartNumber=2, CopySource="cache/rest"))
print("sent:", outcome(s3.upload_part, Bucket="cache", Key="nar", UploadId=upload, PartNumber=2, Body=b"rest"))
parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in s3.list_parts(Bucket="cache", Key="nar", UploadId=upload)["Parts"]]
print("complete:", outcome(s3.complete_multipart_upload, Bucket="cache", Key="nar", UploadId=upload, MultipartUpload={"Parts": parts}))
END
)
seen "$result"
[[ $result == "copied: 400 InvalidRequest: "*"too small"*"sent: 200"*"complete: 200" ]] && holds 1 || holds ""
