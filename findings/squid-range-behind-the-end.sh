#!/usr/bin/env bash
# Part: Squid 6.13 (Debian 13)
# Squid answers a range behind the end of a cached object with 200 and all of it, not with 416.
#
# One would guess 416 with the length, as the origin answers when the object is not cached. Ranges of which a part is there are answered with 206.
# A download that was complete when it was resumed is transferred once more, and a client that appends what it gets has the contents twice.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_squid
guess "416 each time"
result=$(probe <<'END'
from origin import ask, url
path = url("nar", Cache_Control="max-age=3600", ETag='"1"')
print(ask(path, Range="bytes=10-"))
ask(path)
print(ask(path, Range="bytes=9-"))
print(ask(path, Range="bytes=10-"))
END
)
seen "$result"
holds "$result" = "416 , from the origin
206 9, from the cache
200 0123456789, from the cache"
