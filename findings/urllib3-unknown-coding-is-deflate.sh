#!/usr/bin/env bash
# Part: urllib3 2.8.0 (PyPI)
# In a list of content codings, urllib3 decodes each one that it does not know as deflate.
#
# One would guess an error for an unknown coding, or the body as it was sent, which is what urllib3 gives for an unknown coding alone. Beside one that it
# knows, "identity" and "aws-chunked" are decoded as deflate: the right bytes become others, or an error that speaks of gzip or zlib.
# Ceph keeps "aws-chunked" in the header of objects that were uploaded in chunks, so that a log with zstd beside it is unreadable.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install urllib3==2.8.0 backports.zstd==1.8.0
version "urllib3 2.8.0, backports.zstd 1.8.0"
guess "'contents' each time, or an error that names the coding"
result=$(timeout 60 python3 - <<'END'
import io
import urllib3
from backports import zstd
for coding, body in (("zstd", zstd.compress(b"contents")), ("aws-chunked", b"contents"), ("identity, zstd", zstd.compress(b"contents")),
                     ("aws-chunked, zstd", zstd.compress(b"contents")), ("aws-chunked, zstd", zstd.compress(b"other contents"))):
    try:
        answer = urllib3.HTTPResponse(io.BytesIO(body), headers={"Content-Encoding": coding}, preload_content=False)
        print(f"{coding}: {answer.read()}")
    except urllib3.exceptions.DecodeError as error:
        print(f"{coding}: {error.args[1]}")
END
)
seen "$result"
holds "$result" = "zstd: b'contents'
aws-chunked: b'contents'
identity, zstd: b'\\x07\\x83\\x81E\\x03\\x81F'
aws-chunked, zstd: b'\\x07\\x83\\x81E\\x03\\x81F'
aws-chunked, zstd: Error -3 while decompressing data: invalid block type"
