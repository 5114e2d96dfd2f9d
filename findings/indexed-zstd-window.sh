#!/usr/bin/env bash
# Part: indexed_zstd 1.7.2 (PyPI) with zstd 1.5.4 (Debian 12)
# For indexed_zstd a zstd file with a window above 128 MiB is empty.
#
# One would guess the error that every other reader of such files gives ("Frame requires too much memory for decoding"), or the contents.
# read() returns no bytes and raises nothing.
# A large NAR that was compressed with `zstd --long=28` looks like an empty file, not like one that needs more memory.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install indexed_zstd==1.7.2 backports.zstd==1.8.0
command_from "$(debian bookworm zstd=1.5.4+dfsg2-5)" zstd
version "indexed_zstd 1.7.2, zstd 1.5.4; beside it backports.zstd 1.8.0"
guess "5000 bytes, or an error, each time"
for window in 27 28; do
    head -c 5000 /dev/zero | zstd -q "--long=$window" >"$work/window-$window.zst"
done
result=$(cd "$work" && timeout 60 python3 - <<'END'
import indexed_zstd
from backports import zstd
for name in ("window-27.zst", "window-28.zst"):
    for library, read in (("backports.zstd", lambda: zstd.open(name).read()), ("indexed_zstd", lambda: indexed_zstd.IndexedZstdFile(name).read())):
        try:
            print(f"{name}, {library}: {len(read())} bytes")
        except zstd.ZstdError as error:
            print(f"{name}, {library}: an error")
END
)
seen "$result"
holds "$result" = "window-27.zst, backports.zstd: 5000 bytes
window-27.zst, indexed_zstd: 5000 bytes
window-28.zst, backports.zstd: an error
window-28.zst, indexed_zstd: 0 bytes"
