#!/usr/bin/env bash
# Part: zstandard 0.25.0 (PyPI)
# Reading a zstd file that is cut off is no error for python-zstandard.
#
# One would guess an exception at the end, as gzip.open(), lzma.open() and backports.zstd.open() raise (EOFError). zstandard.open() and
# stream_reader() give what there is and then an ordinary end of file.
# A download that broke off gives a shorter NAR and no reason. Whoever does not compare the size has to use another library.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install zstandard==0.25.0 backports.zstd==1.8.0
version "zstandard 0.25.0; beside it backports.zstd 1.8.0 and the standard library"
guess "EOFError, or another exception, from each"
result=$(cd "$work" && timeout 60 python3 - <<'END'
import gzip, lzma, random
import zstandard
from backports import zstd
data = random.Random(1).randbytes(300000)
ways = {
    "gzip.open": (gzip.compress(data), gzip.open),
    "lzma.open": (lzma.compress(data), lzma.open),
    "backports.zstd.open": (zstd.compress(data), zstd.open),
    "zstandard.open": (zstd.compress(data), lambda name: zstandard.open(name, "rb")),
    "zstandard stream_reader": (zstd.compress(data), lambda name: zstandard.ZstdDecompressor().stream_reader(open(name, "rb"))),
}
for way, (compressed, read) in ways.items():
    open("cut", "wb").write(compressed[:200000])
    try:
        size = len(read("cut").read())
        print(f"{way}: {'all' if size == len(data) else 'some'} bytes, no error")
    except Exception as error:
        print(f"{way}: {type(error).__name__}")
END
)
seen "$result"
holds "$result" = "gzip.open: EOFError
lzma.open: EOFError
backports.zstd.open: EOFError
zstandard.open: some bytes, no error
zstandard stream_reader: some bytes, no error"
