#!/usr/bin/env bash
# rclone serve s3 enforces x-amz-checksum-sha256 for whole objects, but not for parts.
#
# One would guess that a service that answers BadDigest to a PUT whose bytes do not fit the checksum does so for a part,
# too. It takes the part with 200 and completes the upload.
# A start-up probe with one small PUT therefore proves nothing about large NARs; parts need a probe of their own.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_rclone
guess "400 BadDigest for both"
result=$(probe <<'END'
import base64, hashlib
from s3client import outcome, s3
other = base64.b64encode(hashlib.sha256(b"other bytes").digest()).decode()
print("object:", outcome(s3.put_object, Bucket="cache", Key="nar", Body=b"bytes", ChecksumSHA256=other).split(":")[0])
upload = s3.create_multipart_upload(Bucket="cache", Key="nar", ChecksumAlgorithm="SHA256")["UploadId"]
print("part:", outcome(s3.upload_part, Bucket="cache", Key="nar", UploadId=upload, PartNumber=1, Body=b"bytes", ChecksumSHA256=other))
END
)
seen "$result"
holds "$result" = "object: 400 BadDigest
part: 200"
