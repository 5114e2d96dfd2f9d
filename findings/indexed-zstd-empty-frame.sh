#!/usr/bin/env bash
# Part: indexed_zstd 1.7.2 (PyPI)
# For indexed_zstd a zstd file that begins with an empty frame is empty.
#
# One would guess the contents of the frames that follow: an empty frame is valid, and the library is there for files of many frames.
# read() returns nothing and raises nothing; an empty frame at the end of the file does no harm.
# Joining compressed pieces of which the first happens to be empty, as a compressor flushes them, loses the file for such a reader.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install indexed_zstd==1.7.2 backports.zstd==1.8.0
version "indexed_zstd 1.7.2; the frames are made with backports.zstd 1.8.0"
guess "contents each time"
result=$(cd "$work" && timeout 60 python3 - <<'END'
import indexed_zstd
from backports import zstd
empty, frame = zstd.compress(b""), zstd.compress(b"contents")
for name, file in (("frame", frame), ("frame, frame", frame + frame), ("frame, empty", frame + empty), ("empty, frame", empty + frame)):
    open("file.zst", "wb").write(file)
    print(f"{name}: {indexed_zstd.IndexedZstdFile('file.zst').read().decode()!r}")
END
)
seen "$result"
holds "$result" = "frame: 'contents'
frame, frame: 'contentscontents'
frame, empty: 'contents'
empty, frame: ''"
