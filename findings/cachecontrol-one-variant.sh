#!/usr/bin/env bash
# Part: CacheControl 0.14.4 (PyPI) with requests 2.34.2
# CacheControl keeps one variant of a URL: the answer for another Accept replaces the one before.
#
# One would guess that an answer with Vary is kept once for each value of the header, as in other caches. The key is the URL alone, so two kinds of requests
# for one URL push each other out, and the origin is asked each time although both answers are fresh.
# A program that asks for the JSON and for the text form of a page in turn has a cache that never hits.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install cachecontrol==0.14.4 requests==2.34.2
start_origin
version "CacheControl 0.14.4"
guess "from the cache for the third and the fourth request"
result=$(probe <<'END'
import os

import requests as http
from cachecontrol import CacheControl
from origin import requests, url

session = CacheControl(http.Session())
path = url("build", Cache_Control="max-age=3600", Vary="Accept", ETag='"1"')
for accept in ("application/json", "text/html", "application/json", "text/html", "text/html"):
    before = requests()
    session.get(f"http://127.0.0.1:{os.environ['ORIGIN']}{path}", headers={"Accept": accept})
    print(f"{accept}: from the {'origin' if requests() > before else 'cache'}")
END
)
seen "$result"
holds "$result" = "application/json: from the origin
text/html: from the origin
application/json: from the origin
text/html: from the origin
text/html: from the cache"
