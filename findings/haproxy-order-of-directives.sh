#!/usr/bin/env bash
# Part: HAProxy 3.0.11 (Debian 13)
# HAProxy caches "max-age=0, s-maxage=3600", but not "s-maxage=3600, max-age=0".
#
# One would guess that the order of the directives means nothing, and that s-maxage wins in a shared cache, as RFC 9111 says. HAProxy stores nothing if
# the last one is max-age=0; any other max-age in this place does no harm.
# Both orders are usual for "proxies may keep it, clients may not": with one of them each narinfo is fetched from the origin each time.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_haproxy
guess "the second answer is from the cache each time"
result=$(probe <<'END'
from origin import ask, url
for value in ("max-age=0, s-maxage=3600", "s-maxage=3600, max-age=0", "s-maxage=3600, max-age=1"):
    path = url("narinfo", Cache_Control=value)
    ask(path)
    print(f"{value}: {ask(path)}")
END
)
seen "$result"
holds "$result" = "max-age=0, s-maxage=3600: 200 0123456789, from the cache
s-maxage=3600, max-age=0: 200 0123456789, from the origin
s-maxage=3600, max-age=1: 200 0123456789, from the cache"
