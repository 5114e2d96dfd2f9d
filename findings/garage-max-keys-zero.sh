#!/usr/bin/env bash
# A listing with max-keys=0 has one key on Garage.
#
# One would guess an empty page, as MinIO and versitygw answer: max-keys=0 is a cheap question whether the bucket may be
# listed. Garage raises it to 1, lists a key and says IsTruncated=true.
# A check that reads "truncated" as "the bucket is large" or counts keys is wrong by one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_garage
guess "no key, IsTruncated False"
result=$(probe <<'END'
from s3client import s3
for key in ("a", "b"):
    s3.put_object(Bucket="cache", Key=key, Body=b"x")
page = s3.list_objects_v2(Bucket="cache", MaxKeys=0)
print([entry["Key"] for entry in page.get("Contents", [])], "MaxKeys", page["MaxKeys"], "IsTruncated", page["IsTruncated"])
END
)
seen "$result"
holds "$result" = "['a'] MaxKeys 1 IsTruncated True"
