#!/usr/bin/env bash
# Part: Nix 2.34.8
# Nix reads no zstd frame with a window above 128 MiB, however small the NAR is.
#
# One would guess that Compression: zstd takes whatever the zstd library writes, as the frame says how much memory it
# needs and the NAR has 120 bytes. A stream compressed with a window of 2^28 bytes (`zstd --long=28`) is refused.
# Long windows are tempting for large NARs with repeated contents. A cache has to bound the window of what it compresses,
# and of what it takes from others.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
pip_install zstandard==0.25.0
guess "both windows are read"
publish_hello 2.34
nar=$work/cache/$(sed -n 's/^URL: //p' "$narinfo")
result=
for window in 27 28; do
    python3 - "$nar" "$window" <<'END'
import sys, zstandard
name, window = sys.argv[1], int(sys.argv[2])
data = zstandard.ZstdDecompressor().decompressobj().decompress(open(name, "rb").read())
stream = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=window)).compressobj()
open(name, "wb").write(stream.compress(data) + stream.flush())
data = open(name, "rb").read()
assert zstandard.get_frame_parameters(data).window_size == 1 << window
END
    result+="2^$window: $(try nix_of 2.34 "reader$window" nix copy --from "file://$work/cache" "$path" | tr '\n' ' ')"$'\n'
done
seen "$result"
[[ $result == "2^27: exit status 0"*"2^28: "*"Frame requires too much memory"*"exit status 1"* ]] && holds 1 || holds ""
