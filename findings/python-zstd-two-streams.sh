#!/usr/bin/env bash
# Part: zstd 1.5.7.2 (PyPI)
# The zstd package for Python gives both of two frames, or only the first, by whether the frames name their size.
#
# One would guess both each time, or an error. Frames that say how large their contents are, are read to the end; of frames that
# were written as streams (the size was not known yet) only the first is returned, without an error.
# Two pieces of a build log that were compressed on the fly and joined are read as the first piece.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install zstd==1.5.7.2 backports.zstd==1.8.0
version "zstd 1.5.7.2; the frames are made with backports.zstd 1.8.0"
guess "onetwo each time"
result=$(timeout 60 python3 - <<'END'
import zstd
from backports import zstd as reference
def stream(text):
    compressor = reference.ZstdCompressor()
    return compressor.compress(text) + compressor.flush()
for name, compress in (("with sizes", reference.compress), ("without sizes", stream)):
    frames = compress(b"one") + compress(b"two")
    print(f"{name}: {zstd.decompress(frames).decode()}, by backports.zstd {reference.decompress(frames).decode()}")
END
)
seen "$result"
holds "$result" = "with sizes: onetwo, by backports.zstd onetwo
without sizes: one, by backports.zstd onetwo"
