#!/usr/bin/env bash
# versitygw ignores Quiet in DeleteObjects.
#
# One would guess that <Quiet>true</Quiet> leaves only errors in the answer. versitygw lists every deleted key.
# A garbage collector that takes "the answer has entries" for "something failed" reports each deletion as a failure,
# and answers for 1000 keys are some 100 kB where a few bytes were expected.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_versitygw
guess "no entries"
result=$(probe <<'END'
from s3client import s3
s3.put_object(Bucket="cache", Key="a", Body=b"x")
answer = s3.delete_objects(Bucket="cache", Delete={"Quiet": True, "Objects": [{"Key": "a"}, {"Key": "b"}]})
print([entry["Key"] for entry in answer.get("Deleted", [])], answer.get("Errors"))
END
)
seen "$result"
holds "$result" = "['a', 'b'] None"
