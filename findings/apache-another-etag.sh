#!/usr/bin/env bash
# Part: Apache 2.4.71 (Debian 13)
# mod_cache of Apache asks the origin for all of a fresh object whenever a client comes with another ETag.
#
# One would guess the cached object: it is fresh, and it is not the one that the client has. The request is passed on, the answer is sent and stored, and the
# next client with an old ETag causes the next request. Without If-None-Match the same object comes from the cache.
# After a change of a popular object each client comes with the old ETag: the cache helps none of them.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_apache
guess "from the cache each time"
result=$(probe <<'END'
from origin import ask, url
path = url("nar", Cache_Control="max-age=3600", ETag='"new"')
ask(path)
print("no ETag:", ask(path))
print("its ETag:", ask(path, If_None_Match='"new"'))
for _ in range(2):
    print("an old ETag:", ask(path, If_None_Match='"old"'))
END
)
seen "$result"
holds "$result" = "no ETag: 200 0123456789, from the cache
its ETag: 304 , from the cache
an old ETag: 200 0123456789, from the origin
an old ETag: 200 0123456789, from the origin"
