#!/usr/bin/env bash
# Part: requests-cache 1.3.3 (PyPI) with requests 2.34.2
# requests-cache asks the origin each time for a fresh answer that has must-revalidate.
#
# One would guess that must-revalidate means something for stale answers only: with max-age=3600 the answer is fresh for an hour, and no request
# is needed. requests-cache takes the directive for no-cache.
# A client that polls an API or a channel with this usual pair of directives has a cache that saves it nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install requests-cache==1.3.3 requests==2.34.2
start_origin
version "requests-cache 1.3.3"
guess "the second request does not reach the origin"
result=$(probe <<'END'
import os

import requests_cache
from origin import requests, url

for value in ("max-age=3600", "max-age=3600, must-revalidate"):
    session = requests_cache.CachedSession(backend="memory", cache_control=True)
    path = url("channel", Cache_Control=value, ETag='"1"')

    def get():
        before = requests()
        session.get(f"http://127.0.0.1:{os.environ['ORIGIN']}{path}")
        return requests() - before

    print(f"{value}: {get()} request, then {get()} and {get()}")
END
)
seen "$result"
holds "$result" = "max-age=3600: 1 request, then 0 and 0
max-age=3600, must-revalidate: 1 request, then 1 and 1"
