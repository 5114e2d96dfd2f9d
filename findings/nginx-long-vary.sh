#!/usr/bin/env bash
# Part: nginx 1.26.3 (Debian 13)
# nginx does not cache an answer whose Vary header is longer than 128 bytes.
#
# One would guess that each answer with a lifetime is cached, and that a longer Vary only makes more variants of it. Beyond 128 bytes
# nginx takes the header for "*", and says so neither in the answer nor in its log.
# A gateway that adds two or three names to Vary turns the cache in front of it off, and each NAR is fetched from the bucket again.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_nginx
guess "the second answer is from the cache each time"
result=$(probe <<'END'
from origin import ask, url
for length in (127, 128, 129):
    vary = "Accept-Encoding, X-".ljust(length, "a")
    path = url("nar", Cache_Control="max-age=3600", Vary=vary)
    ask(path)
    print(f"Vary of {length} bytes: {ask(path)}")
END
)
seen "$result"
holds "$result" = "Vary of 127 bytes: 200 0123456789, from the cache
Vary of 128 bytes: 200 0123456789, from the cache
Vary of 129 bytes: 200 0123456789, from the origin"
