#!/usr/bin/env bash
# Part: ruzstd 0.9.1 (crates.io)
# ruzstd does not compare the checksum at the end of a zstd frame with the contents.
#
# One would guess an error for a frame whose checksum is wrong, as from the C library, which is what the checksum is for. ruzstd reads it,
# can compute its own, and returns the contents either way; comparing the two is left to the caller.
# A byte that changed on a disk or in a proxy is noticed by `zstd -d` and by Nix, and not by a tool that reads with ruzstd.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install zstandard==0.25.0
version "ruzstd 0.9.1; beside it zstandard 0.25.0 with the C library"
guess "an error from both"
result=$(cd "$work" && python3 - <<'END'
import random, zstandard
frame = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(random.Random(1).randbytes(1000)))
frame[500] ^= 1
open("changed.zst", "wb").write(frame)
try:
    print("C library:", len(zstandard.ZstdDecompressor().decompress(bytes(frame))), "bytes")
except zstandard.ZstdError as error:
    print("C library:", error)
END
)
cd "$work"
result+=$'\n'$(run_rust 'ruzstd = "=0.9.1"' <<'END'
use std::io::Read;

fn main() {
    let file = std::fs::File::open("changed.zst").unwrap();
    let mut contents = Vec::new();
    match ruzstd::decoding::StreamingDecoder::new(file).unwrap().read_to_end(&mut contents) {
        Ok(size) => println!("ruzstd: {size} bytes"),
        Err(error) => println!("ruzstd: {error}"),
    }
}
END
)
seen "$result"
[[ $result == "C library: "*"checksum"*"ruzstd: 1000 bytes" ]] && holds 1 || holds ""
