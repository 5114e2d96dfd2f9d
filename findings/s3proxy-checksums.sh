#!/usr/bin/env bash
# S3Proxy refuses an upload with one kind of checksum and ignores another kind.
#
# One would guess that checksum headers are all enforced, all ignored, or all refused. S3Proxy answers 501 NotImplemented to
# x-amz-checksum-sha256 and -crc32, even if right, and takes a wrong x-amz-checksum-crc64nvme with 200.
# A cache that finds out at its start what a service enforces has to try the very checksum that it will use, with right
# and with wrong bytes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_s3proxy
guess "the same answer for each algorithm"
result=$(probe <<'END'
from s3client import outcome, s3
sha256 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
print("sha256, right:", outcome(s3.put_object, Bucket="cache", Key="nar", Body=b"hello", ChecksumSHA256=sha256).split(":")[0])
print("crc32, right:", outcome(s3.put_object, Bucket="cache", Key="nar", Body=b"hello", ChecksumCRC32="NhCmhg==").split(":")[0])
print("crc64nvme, wrong:", outcome(s3.put_object, Bucket="cache", Key="nar", Body=b"hello", ChecksumCRC64NVME="AAAAAAAAAAA="))
END
)
seen "$result"
holds "$result" = "sha256, right: 501 NotImplemented
crc32, right: 501 NotImplemented
crc64nvme, wrong: 200"
