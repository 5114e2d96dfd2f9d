#!/usr/bin/env bash
# Garage ignores If-None-Match and If-Match on PUT.
#
# One would guess 412 for a PUT with `If-None-Match: *` to a key that exists, or 501 from a service that cannot do it. Garage
# answers 200 and overwrites, as if the header were not there; on GET the same headers work.
# Two publishers that use it as a lock both think that they won. Such promises belong into the database.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_garage
guess "412, and the first object stays"
result=$(probe <<'END'
from s3client import outcome, s3
s3.put_object(Bucket="cache", Key="key", Body=b"first")
print("PUT If-None-Match *:", outcome(s3.put_object, Bucket="cache", Key="key", Body=b"second", IfNoneMatch="*"))
print("GET If-Match other:", outcome(s3.get_object, Bucket="cache", Key="key", IfMatch='"other"')[:3])
print(s3.get_object(Bucket="cache", Key="key")["Body"].read().decode())
END
)
seen "$result"
holds "$result" = "PUT If-None-Match *: 200
GET If-Match other: 412
second"
