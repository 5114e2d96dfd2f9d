#!/usr/bin/env bash
# Part: nginx 1.26.3 (Debian 13)
# nginx keeps an answer for its whole max-age, however long another cache has had it before.
#
# One would guess that Age counts: an answer with max-age=60 that says that it is 100 s old is stale, and RFC 9111 subtracts the age. nginx
# serves it for 60 s more, and sends the Age header of the first answer along, which does not grow.
# Behind a CDN or a second proxy a "not found" or a replaced narinfo lives twice as long as the origin allowed, or longer.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_nginx
guess "from the origin each time, since the answer is 40 s too old"
result=$(probe <<'END'
from origin import ask, url
path = url("narinfo", Cache_Control="max-age=60", Age=100)
for _ in range(2):
    answer = ask(path)
    print(f"{answer}, Age: {answer.headers['Age']}")
END
)
seen "$result"
holds "$result" = "200 0123456789, from the origin, Age: 100
200 0123456789, from the cache, Age: 100"
