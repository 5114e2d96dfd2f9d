#!/usr/bin/env bash
# A key that is named twice in DeleteObjects gets an answer without a key on MinIO.
#
# One would guess two <Deleted> entries with the key (as most services answer), or one. MinIO answers with one complete
# entry and one whose <Key> is missing. Code that indexes the answer by key fails on it after the objects are gone.
# A garbage collector that joins several lists of keys easily names a key twice.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "two entries that both name the key, or one"
result=$(probe <<'END'
from s3client import s3
s3.put_object(Bucket="cache", Key="twice", Body=b"x")
answer = s3.delete_objects(Bucket="cache", Delete={"Objects": [{"Key": "twice"}, {"Key": "twice"}]})
print(answer.get("Deleted"), answer.get("Errors"))
END
)
seen "$result"
holds "$result" = "[{'Key': 'twice'}, {}] None"
