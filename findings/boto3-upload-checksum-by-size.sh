#!/usr/bin/env bash
# Part: boto3 1.44.8 (PyPI) with MinIO 2026-02-12
# upload_fileobj() of boto3 takes a SHA-256 of the contents for small files only.
#
# One would guess that ChecksumSHA256, which is among the arguments that uploads accept, works for any size, or for none. From 8 MiB on the file is sent
# in parts, boto3 declares the value to be a checksum of the whole object, and S3 has none of the whole object for SHA-256: 400
# before the first byte. ChecksumCRC32 works for each size.
# An uploader that gives the hash that it knows anyway passes all its tests and fails for the first large NAR.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
version "boto3 1.44.8, s3transfer 0.19.3"
guess "stored each time"
result=$(probe <<'END'
import base64, hashlib, io, zlib
from s3client import ClientError, s3
for size in (1 << 20, 9 << 20):
    body = bytes(size)
    for name, digest in (("ChecksumCRC32", zlib.crc32(body).to_bytes(4, "big")), ("ChecksumSHA256", hashlib.sha256(body).digest())):
        try:
            s3.upload_fileobj(io.BytesIO(body), "cache", "nar", ExtraArgs={name: base64.b64encode(digest).decode()})
            print(f"{size >> 20} MiB, {name}: stored")
        except ClientError as error:
            print(f"{size >> 20} MiB, {name}: {error.response['Error']['Code']} of {error.operation_name}")
END
)
seen "$result"
holds "$result" = "1 MiB, ChecksumCRC32: stored
1 MiB, ChecksumSHA256: stored
9 MiB, ChecksumCRC32: stored
9 MiB, ChecksumSHA256: InvalidArgument of CreateMultipartUpload"
