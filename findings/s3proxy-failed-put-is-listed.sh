#!/usr/bin/env bash
# A PUT that S3Proxy refuses leaves an object behind that nobody named.
#
# One would guess that a PUT that fails changes nothing. Over the file system a key cannot be a file and a folder, so after
# a/b the key `a` is refused, with 500; but the bytes stay in the bucket, listed as `a-` and a random UUID.
# A cache that retries the 500 fills the bucket, and one that checks its bucket finds foreign objects among its own.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_s3proxy
guess "an error, and only log/a/b is listed"
result=$(probe <<'END'
import re
from s3client import outcome, s3
s3.put_object(Bucket="cache", Key="log/a/b", Body=b"x")
print(outcome(s3.put_object, Bucket="cache", Key="log/a", Body=b"x")[:3])
print([re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", entry["Key"]) for entry in s3.list_objects_v2(Bucket="cache")["Contents"]])
END
)
seen "$result"
holds "$result" = "500
['log/a-UUID', 'log/a/b']"
