#!/usr/bin/env bash
# MinIO takes the keys `a` and `a/b` together, but lists only `a`.
#
# One would guess that both PUT requests succeed and both keys are listed (S3 has no folders), or that the second PUT
# fails, as on gateways over a file system. MinIO stores both, serves both, and leaves the longer key out of every
# listing, with and without a prefix. Deleting `a` makes it appear.
# A cache that compares its database with a listing takes the object for lost; one that deletes what it finds in
# listings never deletes it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "both keys are listed, or the second PUT is refused"
result=$(probe <<'END'
from s3client import outcome, s3
keys = lambda **options: [entry["Key"] for entry in s3.list_objects_v2(Bucket="cache", **options).get("Contents", [])]
for key in ("log/a", "log/a/b"):
    print("PUT", key, outcome(s3.put_object, Bucket="cache", Key=key, Body=b"x"))
for key in ("log/a", "log/a/b"):
    print("GET", key, outcome(s3.get_object, Bucket="cache", Key=key))
print("list:", keys(), "below log/a/:", keys(Prefix="log/a/"))
s3.delete_object(Bucket="cache", Key="log/a")
print("list after DELETE log/a:", keys())
END
)
seen "$result"
holds "$result" = "PUT log/a 200
PUT log/a/b 200
GET log/a 200
GET log/a/b 200
list: ['log/a'] below log/a/: []
list after DELETE log/a: ['log/a/b']"
