#!/usr/bin/env bash
# Part: versitygw 1.8.0
# An object of versitygw has been modified since its own Last-Modified.
#
# One would guess 304 and 200 for conditions with the date that the server has just given. The date has whole seconds, and it is compared with
# the time of the file, which has nanoseconds and is thus a part of a second later: 200 for If-Modified-Since, 412 for If-Unmodified-Since.
# A client that revalidates by date downloads everything each time, and a copy or a read that should be of one state always fails.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_versitygw
guess "If-Modified-Since: 304, 304; If-Unmodified-Since: 200, 200"
result=$(probe <<'END'
import email.utils
import time
from s3client import s3, signed
s3.put_object(Bucket="cache", Key="key", Body=b"contents")
time.sleep(2)
changed = s3.head_object(Bucket="cache", Key="key")["LastModified"].timestamp()
for header in ("If-Modified-Since", "If-Unmodified-Since"):
    for name, when in (("Last-Modified", changed), ("a second later", changed + 1)):
        print(f"{header}: {name}: {signed('GET', '/cache/key', headers={header: email.utils.formatdate(when, usegmt=True)})[0]}")
END
)
seen "$result"
holds "$result" = "If-Modified-Since: Last-Modified: 200
If-Modified-Since: a second later: 304
If-Unmodified-Since: Last-Modified: 412
If-Unmodified-Since: a second later: 200"
