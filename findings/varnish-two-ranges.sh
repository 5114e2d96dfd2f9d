#!/usr/bin/env bash
# Part: Varnish 7.7.0 (Debian 13)
# Varnish answers 416 to two ranges, both of which are in the object.
#
# One would guess a 206 of two parts, or 200 with all of it, which a server may send if it does not want to split. 416 says that no
# part of the object is in what was asked for, and gives its length, which is larger.
# zsync and other clients that fetch the changed blocks of a file in one request take the file for shorter than it is.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_varnish
guess "206 or 200 each time"
result=$(probe <<'END'
from origin import ask, url
path = url("nar", Cache_Control="max-age=3600", ETag='"1"')
ask(path)
for ranges in ("bytes=0-1", "bytes=5-6", "bytes=0-1,5-6"):
    answer = ask(path, Range=ranges)
    print(f"{ranges}: {answer.status} {answer.body} {answer.headers['Content-Range']}")
END
)
seen "$result"
holds "$result" = "bytes=0-1: 206 01 bytes 0-1/10
bytes=5-6: 206 56 bytes 5-6/10
bytes=0-1,5-6: 416  bytes */10"
