#!/usr/bin/env bash
# Part: aiohttp 3.14.5 (PyPI)
# The client of aiohttp sends another query and another path than the URL has.
#
# One would guess that a URL that is valid is sent as it is, as httpx and urllib3 send this one. aiohttp decodes what need not be encoded: "%3A", "%2C" and
# "%2F" become ":", "," and "/". Only yarl.URL(text, encoded=True) keeps them.
# A signature over the text of a URL, as CDNs and signed download links use it, no longer fits, and a cache keeps one object under two keys.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install aiohttp==3.14.5 httpx==0.28.1
start_origin
version "aiohttp 3.14.5, httpx 0.28.1"
guess "the same URL each time"
result=$(probe <<'END'
import asyncio
import os

import aiohttp
import httpx
import yarl

wanted = "/a%3Db%7Ec?until=2026%2F01%2C%3A&signature=x%2By%3D"
url = f"http://127.0.0.1:{os.environ['ORIGIN']}{wanted}"


async def aio(address):
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        await answer.read()


httpx.get(url)
asyncio.run(aio(url))
asyncio.run(aio(yarl.URL(url, encoded=True)))
with open(os.environ["REQUESTS"]) as log:
    sent = [line.split()[1] for line in log]
for name, path in zip(("wanted", "httpx", "aiohttp", "encoded=True"), [wanted, *sent]):
    print(f"{name}: {path}")
END
)
seen "$result"
holds "$result" = "wanted: /a%3Db%7Ec?until=2026%2F01%2C%3A&signature=x%2By%3D
httpx: /a%3Db%7Ec?until=2026%2F01%2C%3A&signature=x%2By%3D
aiohttp: /a=b~c?until=2026/01,:&signature=x%2By%3D
encoded=True: /a%3Db%7Ec?until=2026%2F01%2C%3A&signature=x%2By%3D"
