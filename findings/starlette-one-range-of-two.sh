#!/usr/bin/env bash
# Part: starlette 1.10.0 (PyPI)
# FileResponse of Starlette answers 416 to two ranges of which one is in the file, and 400 to a unit that it does not know.
#
# One would guess 206 with the range that is there, and 200: RFC 9110 has 416 only if no range overlaps the contents, and lets a
# server ignore Range, as it must for units that it does not understand.
# A client that asks for the head and, by guess, for more of a file fails on short files only.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install starlette==1.10.0 httpx==0.28.1
version "starlette 1.10.0"
guess "206, 206, 206, 200"
result=$(timeout 60 python3 -W ignore - "$work/file" <<'END'
import sys
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route
from starlette.testclient import TestClient
name = sys.argv[1]
with open(name, "wb") as file:
    file.write(b"0123456789")
client = TestClient(Starlette(routes=[Route("/", lambda request: FileResponse(name))]))
for ranges in ("bytes=0-3", "bytes=0-3,6-7", "bytes=0-3,20-23", "items=0-3"):
    print(f"{ranges}: {client.get('/', headers={'Range': ranges}).status_code}")
END
)
seen "$result"
holds "$result" = "bytes=0-3: 206
bytes=0-3,6-7: 206
bytes=0-3,20-23: 416
items=0-3: 400"
