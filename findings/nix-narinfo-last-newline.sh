#!/usr/bin/env bash
# Part: Nix 2.34.8
# A narinfo whose last line has no line end is corrupt for Nix.
#
# One would guess that the last line end is optional, as it is for nearly every reader of text lines (and for the
# nix-cache-info beside it). Nix refuses the whole narinfo.
# A cache that joins lines with a line end between them, or trims what it stores, serves nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
guess "the path is copied"
publish_hello 2.34
printf %s "$(cat "$work/cache/nix-cache-info")" >"$work/info"
cp "$work/info" "$work/cache/nix-cache-info"
result="nix-cache-info: $(try nix_of 2.34 reader1 nix path-info --store "file://$work/cache" "$path" | tail -1)"$'\n'
truncate -s -1 "$narinfo"
result+="narinfo: $(try nix_of 2.34 reader2 nix path-info --store "file://$work/cache" "$path" | tr '\n' ' ')"
seen "$result"
[[ $result == "nix-cache-info: exit status 0"*"is corrupt"*"exit status 1 " ]] && holds 1 || holds ""
