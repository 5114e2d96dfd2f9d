#!/usr/bin/env bash
# Part: moto 5.2.5 (PyPI)
# The S3 server of moto stores an upload whose Content-MD5 or x-amz-checksum-sha256 is that of other contents.
#
# One would guess 400 BadDigest: moto does check what is in requests elsewhere, such as conditions, part sizes and the ETags of parts. Both checksums
# are taken and compared with nothing.
# A test that a damaged upload is noticed fails with moto although the client is right, and a client that sends a wrong checksum passes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_moto
guess "400 BadDigest for MD5 and SHA-256, and no object"
result=$(probe <<'END'
import base64
import hashlib
from s3client import outcome, s3
wrong = {"ContentMD5": hashlib.md5(b"other").digest(), "ChecksumSHA256": hashlib.sha256(b"other").digest()}
for name, digest in wrong.items():
    text = base64.b64encode(digest).decode()
    put = outcome(s3.put_object, Bucket="cache", Key=name, Body=b"contents", **{name: text})
    got = s3.get_object(Bucket="cache", Key=name)
    print(f"{name}: PUT {put}, stored {got['Body'].read()}")
END
)
seen "$result"
holds "$result" = "ContentMD5: PUT 200, stored b'contents'
ChecksumSHA256: PUT 200, stored b'contents'"
