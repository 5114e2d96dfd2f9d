#!/usr/bin/env bash
# Part: Varnish 7.7.0 (Debian 13)
# Varnish serves an answer with must-revalidate after it has expired.
#
# One would guess that the origin is asked first, which is what must-revalidate is for. Varnish does not know the directive and gives its usual grace
# of 10 s: the client gets the stale answer, and a new one is fetched behind it.
# After a narinfo was replaced or a path was deleted the first client still gets the old one, however the origin forbids it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_varnish
guess "Age is below 1 each time"
result=$(probe <<'END'
import time
from origin import ask, url
for value in ("max-age=1", "max-age=1, must-revalidate", "max-age=1, stale-while-revalidate=0"):
    path = url("narinfo", Cache_Control=value)
    ask(path)
    time.sleep(2.5)
    answer = ask(path)
    print(f"{value}: {answer.body}, stale: {int(answer.headers['Age']) > 1}")
END
)
seen "$result"
holds "$result" = "max-age=1: 0123456789, stale: True
max-age=1, must-revalidate: 0123456789, stale: True
max-age=1, stale-while-revalidate=0: 0123456789, stale: False"
