#!/usr/bin/env bash
# A prefix is still listed by SeaweedFS after its last object was deleted.
#
# One would guess that CommonPrefixes of a listing with a delimiter come from keys: no key below log/, no log/. SeaweedFS keeps
# the folders of its file system and lists them, while a listing without the delimiter is empty.
# A tool that walks a cache by prefixes visits the folders of everything that was ever there, and "is this prefix in use?"
# has to be asked without a delimiter.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_seaweedfs
guess "no keys and no prefixes"
result=$(probe <<'END'
from s3client import s3
s3.put_object(Bucket="cache", Key="log/a/b", Body=b"x")
s3.delete_object(Bucket="cache", Key="log/a/b")
print("keys:", [entry["Key"] for entry in s3.list_objects_v2(Bucket="cache").get("Contents", [])])
print("prefixes:", [entry["Prefix"] for entry in s3.list_objects_v2(Bucket="cache", Delimiter="/").get("CommonPrefixes", [])])
END
)
seen "$result"
holds "$result" = "keys: []
prefixes: ['log/']"
