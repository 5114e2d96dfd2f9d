#!/usr/bin/env bash
# The answer of rclone serve s3 to CreateMultipartUpload has another root element than S3's.
#
# One would guess <InitiateMultipartUploadResult>. rclone sends <InitiateMultipartUpload>. boto3 does not look at the name,
# so tests with it pass; SDKs that do, such as Rust's, cannot read the answer, take it for a failure and try again, and
# every try leaves an open upload behind.
# A cache that uploads in parts with such an SDK works on rclone up to the size from which it uses parts.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_rclone
guess "InitiateMultipartUploadResult"
result=$(probe <<'END'
from s3client import ElementTree, s3, signed
print(ElementTree.fromstring(signed("POST", "/cache/nar?uploads=")[2]).tag.split("}")[-1])
END
)
seen "$result"
holds "$result" = "InitiateMultipartUpload"
