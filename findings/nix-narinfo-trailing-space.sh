#!/usr/bin/env bash
# Part: Nix 2.34.8
# The space after `References:` is part of the format: without it the rest of the narinfo becomes the value.
#
# One would guess that a path without references may have the line `References:`, as in other formats of "name: value".
# Nix skips two characters after the name, the line end included, and reads the following lines as references: the error
# speaks of the store path "Deriver:".
# Editors, linters and templates that strip trailing spaces break every narinfo without references.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
guess "the path is copied"
publish_hello 2.34
grep -q '^References: $' "$narinfo"
sed -i 's/ *$//' "$narinfo"
result=$(try nix_of 2.34 reader nix copy --from "file://$work/cache" "$path")
seen "$result"
[[ $result == *"'Deriver:' is too short"*"exit status 1" ]] && holds 1 || holds ""
