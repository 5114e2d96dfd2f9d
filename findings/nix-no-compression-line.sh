#!/usr/bin/env bash
# Part: Nix 2.34.8
# A narinfo without a Compression line does not mean "not compressed".
#
# One would guess that a file is not compressed if nothing says so. Nix takes a missing line for bzip2 and refuses the
# plain NAR; an empty value does the same. Only `Compression: none` reads it.
# A cache that leaves out empty or default fields serves paths that nobody can read.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
guess "the NAR is read in all three cases"
write_hello
path=$(nix_of 2.34 writer2.34 nix-build --no-out-link "$work/hello.nix" 2>/dev/null)
nix_of 2.34 writer2.34 nix copy --to "file://$work/cache?compression=none" "$path" 2>/dev/null
hash=$(basename "$path")
narinfo=$work/cache/${hash%%-*}.narinfo
cp "$narinfo" "$work/narinfo"
attempt() { try nix_of 2.34 "reader-$1" nix copy --from "file://$work/cache" "$path" | tr '\n' ' '; }
result="none: $(attempt none)"$'\n'
grep -v '^Compression' "$work/narinfo" >"$narinfo"
result+="no line: $(attempt absent)"
seen "$result"
[[ $result == "none: exit status 0"*"no line: "*"compression not recognized"*"exit status 1 " ]] && holds 1 || holds ""
