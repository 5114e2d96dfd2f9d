#!/usr/bin/env bash
# Part: zstandard 0.25.0 (PyPI)
# python-zstandard returns the first frame only and says nothing of the rest, in some of its functions.
#
# One would guess that two concatenated frames decompress to the concatenated contents, as `zstd -d` does and the format
# says, or that an error tells of what is left. decompress(), decompressobj() and read_to_iter() return the first frame;
# stream_reader() and copy_stream() of the same library return both.
# NARs that are compressed in parts, or by several threads that each write a frame, come out cut off without an error; only
# NarHash shows it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install zstandard==0.25.0
version "zstandard 0.25.0"
guess "b'first second' from each"
result=$(timeout 60 python3 - <<'END'
import io, zstandard
frames = zstandard.ZstdCompressor().compress(b"first ") + zstandard.ZstdCompressor().compress(b"second")
copied = io.BytesIO()
zstandard.ZstdDecompressor().copy_stream(io.BytesIO(frames), copied)
print("decompress", zstandard.ZstdDecompressor().decompress(frames))
print("decompressobj", zstandard.ZstdDecompressor().decompressobj().decompress(frames))
print("read_to_iter", b"".join(zstandard.ZstdDecompressor().read_to_iter(frames)))
print("stream_reader", zstandard.ZstdDecompressor().stream_reader(io.BytesIO(frames)).read())
print("copy_stream", copied.getvalue())
END
)
seen "$result"
holds "$result" = "decompress b'first '
decompressobj b'first '
read_to_iter b'first '
stream_reader b'first second'
copy_stream b'first second'"
