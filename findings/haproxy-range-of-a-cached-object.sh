#!/usr/bin/env bash
# Part: HAProxy 3.0.11 (Debian 13)
# HAProxy answers a range with the part as long as the object is not cached, and with all of it once it is.
#
# One would guess 206 each time, or never. The cache of HAProxy knows no ranges: what is not cached is left to the origin, and what is cached is
# sent whole, with 200 and with the Accept-Ranges header of the origin.
# Downloads in parts, or resumed ones, work in a test with an empty cache and transfer everything again and again with a full one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_haproxy
guess "206 with 2345 each time"
result=$(probe <<'END'
from origin import ask, url
path = url("nar", Cache_Control="max-age=3600", ETag='"1"', Accept_Ranges="bytes")
print("first:", ask(path, Range="bytes=2-5"))
ask(path)
answer = ask(path, Range="bytes=2-5")
print("cached:", answer)
print("Accept-Ranges:", answer.headers["Accept-Ranges"])
END
)
seen "$result"
holds "$result" = "first: 206 2345, from the origin
cached: 200 0123456789, from the cache
Accept-Ranges: bytes"
