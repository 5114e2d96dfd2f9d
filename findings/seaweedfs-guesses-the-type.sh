#!/usr/bin/env bash
# SeaweedFS guesses the Content-Type of an object from its bytes.
#
# One would guess binary/octet-stream for an object that was put without a type, as MinIO and versitygw say. SeaweedFS looks at
# the contents (text/html for what begins like a page) and stores that as the object's type.
# A build log or a file of a listing that begins with HTML is shown as a page by browsers, on the cache's own host. A cache
# should name the type of everything that it uploads.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_seaweedfs
guess "binary/octet-stream for each"
result=$(probe <<'END'
from s3client import s3
for body in (b"<html><body>hello</body></html>", b"only text", b"\x28\xb5\x2f\xfd\x00\x01\x02\x03"):
    s3.put_object(Bucket="cache", Key="log", Body=body)
    print(body[:8], s3.head_object(Bucket="cache", Key="log").get("ContentType"))
END
)
seen "$result"
[[ $result == *"text/html"*"text/plain"* ]] && holds 1 || holds ""
