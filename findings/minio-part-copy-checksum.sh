#!/usr/bin/env bash
# UploadPartCopy on MinIO fails if the upload was created with a checksum algorithm.
#
# One would guess that a server that copies bytes it already has computes the checksum itself: UploadPartCopy has no
# request header for the checksum of a part. MinIO answers 400 "checksum missing". Without the algorithm the same
# copy works. So an object larger than one copy (5 GiB) cannot be moved to another key and keep a SHA-256.
# A cache that moves large NARs out of a staging area by copies meets this first with the first large NAR.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "200 for both uploads"
result=$(probe <<'END'
from s3client import outcome, s3
s3.put_object(Bucket="cache", Key="source", Body=b"x" * 5242880)
for algorithm in ({}, {"ChecksumAlgorithm": "SHA256"}):
    upload = s3.create_multipart_upload(Bucket="cache", Key="copy", **algorithm)["UploadId"]
    print(algorithm, outcome(s3.upload_part_copy, Bucket="cache", Key="copy", UploadId=upload, PartNumber=1,
                             CopySource={"Bucket": "cache", "Key": "source"}))
END
)
seen "$result"
[[ $result == "{} 200"* && $result == *"400 InvalidArgument"*"checksum missing"* ]] && holds 1 || holds ""
