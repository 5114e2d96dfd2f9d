#!/usr/bin/env bash
# Part: nginx 1.26.3 (Debian 13)
# The error page of nginx for a range behind the end is HTML with the "Content-Encoding: zstd" of the object.
#
# One would guess that an error of nginx has headers of its own. In a cache it keeps those of the object, but for the type and the length: the
# page is called zstd, and may be cached for the lifetime of the object.
# A client that resumes a finished download and decodes what it gets fails with a broken zstd stream, and does not see the 416.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_nginx
guess "416 without Content-Encoding and Cache-Control"
result=$(probe <<'END'
from origin import ask, url
path = url("log", Cache_Control="max-age=3600", Content_Encoding="zstd", ETag='"1"', Accept_Ranges="bytes")
ask(path)
answer = ask(path, Range="bytes=10-")
for name in ("Content-Type", "Content-Encoding", "Cache-Control", "Content-Range"):
    print(f"{name}: {answer.headers[name]}")
print(answer.status, answer.body.split("\r\n")[1])
END
)
seen "$result"
holds "$result" = "Content-Type: text/html
Content-Encoding: zstd
Cache-Control: max-age=3600
Content-Range: bytes */10
416 <head><title>416 Requested Range Not Satisfiable</title></head>"
