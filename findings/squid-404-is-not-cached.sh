#!/usr/bin/env bash
# Part: Squid 6.13 (Debian 13)
# Squid does not cache a 404 for the lifetime that the origin gives it.
#
# One would guess that an explicit max-age or Expires holds for 404 as for 200, since RFC 9111 makes no difference. For a 404, the setting
# negative_ttl decides alone; it is 0. A redirect with max-age is cached.
# Most questions to a binary cache are for paths that it does not have: all of them reach the origin behind Squid.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_squid
guess "the second answer is from the cache each time"
result=$(probe <<'END'
import email.utils
import time
from origin import ask, url
later = email.utils.formatdate(time.time() + 3600, usegmt=True)
for status in (200, 302, 404):
    for fields in ({"Cache_Control": "public, max-age=3600"}, {"Expires": later}):
        path = url("narinfo", status=status, **fields)
        ask(path)
        print(f"{status} with {list(fields)[0]}: from the {'origin' if ask(path).origin else 'cache'}")
END
)
seen "$result"
holds "$result" = "200 with Cache_Control: from the cache
200 with Expires: from the cache
302 with Cache_Control: from the cache
302 with Expires: from the cache
404 with Cache_Control: from the origin
404 with Expires: from the origin"
