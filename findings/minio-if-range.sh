#!/usr/bin/env bash
# MinIO sends the rest of another object to a client that resumes a download with If-Range.
#
# One would guess 200 with the whole new object when the entity tag in If-Range is not that of the object any more: that is what the
# header is for. MinIO knows If-Match and If-None-Match on GET, ignores If-Range and answers 206. So do Garage, versitygw and Ceph.
# A resumed download ends without an error and consists of two objects; only a hash of the whole shows it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "206 for the same object, 200 for the new one"
result=$(probe <<'END'
from s3client import s3, signed
tag = s3.put_object(Bucket="cache", Key="nar", Body=b"old old old")["ETag"]
resume = lambda: signed("GET", "/cache/nar", headers={"Range": "bytes=4-", "If-Range": tag})[::2]
print("same:", *resume())
s3.put_object(Bucket="cache", Key="nar", Body=b"new new new")
print("overwritten:", *resume())
END
)
seen "$result"
holds "$result" = "same: 206 b'old old'
overwritten: 206 b'new new'"
