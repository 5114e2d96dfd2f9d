#!/usr/bin/env bash
# Part: aiohttp 3.14.5 (PyPI)
# FileResponse of aiohttp sends another file than it was told, if there is one with ".gz" behind the name.
#
# One would guess that FileResponse("hello.nar") sends hello.nar, compressed on the way at most. A file hello.nar.gz beside it is sent
# with Content-Encoding: gzip to each client that names gzip in Accept-Encoding, even as "gzip;q=0", whatever is in it and however old it is.
# A folder that holds one NAR both plain and compressed, or a new file beside an old archive, is served mixed up.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install aiohttp==3.14.5
version "aiohttp 3.14.5"
guess "new contents each time"
result=$(timeout 60 python3 - "$work" <<'END'
import asyncio
import gzip
import os
import sys

import aiohttp
from aiohttp import web

name = sys.argv[1] + "/hello.nar"
with gzip.open(name + ".gz", "wb") as archive:
    archive.write(b"old contents")
os.utime(name + ".gz", (0, 0))
with open(name, "wb") as file:
    file.write(b"new contents")


async def main():
    async def answer(request):
        return web.FileResponse(name)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = "http://%s:%d/" % runner.addresses[0][:2]
    async with aiohttp.ClientSession() as client:
        for accepted in ("identity", "gzip", "gzip;q=0"):
            async with client.get(url, headers={"Accept-Encoding": accepted}) as got:
                print(f"{accepted}: {await got.text()}, Content-Encoding {got.headers.get('Content-Encoding')}")
    await runner.cleanup()

asyncio.run(main())
END
)
seen "$result"
holds "$result" = "identity: new contents, Content-Encoding None
gzip: old contents, Content-Encoding gzip
gzip;q=0: old contents, Content-Encoding gzip"
