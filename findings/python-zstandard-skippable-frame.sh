#!/usr/bin/env bash
# Part: zstandard 0.25.0 (PyPI)
# zstandard.decompress() takes the length of a skippable frame for the size of the contents.
#
# One would guess that a skippable frame is skipped, as the format says and as stream_reader() of the same package does. decompress() reads its
# length field as the content size, decompresses nothing and complains that there should be 4 bytes.
# pzstd begins each of its files with such a frame, so no output of pzstd can be read that way.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install zstandard==0.25.0 backports.zstd==1.8.0
version "zstandard 0.25.0; beside it backports.zstd 1.8.0"
guess "the 5000 bytes each time"
result=$(timeout 60 python3 - <<'END'
import struct
import zstandard
from backports import zstd
file = struct.pack("<II", 0x184D2A50, 4) + b"size" + zstandard.compress(bytes(5000))
ways = {
    "backports.zstd.decompress": zstd.decompress,
    "stream_reader": lambda file: zstandard.ZstdDecompressor().stream_reader(file).read(),
    "decompress": zstandard.decompress,
    "decompress with max_output_size": lambda file: zstandard.ZstdDecompressor().decompress(file, max_output_size=9000),
}
for way, read in ways.items():
    try:
        print(f"{way}: {len(read(file))} bytes")
    except zstandard.ZstdError as error:
        print(f"{way}: {error}")
END
)
seen "$result"
holds "$result" = "backports.zstd.decompress: 5000 bytes
stream_reader: 5000 bytes
decompress: decompression error: decompressed 0 bytes; expected 4
decompress with max_output_size: decompression error: decompressed 0 bytes; expected 4"
