#!/usr/bin/env bash
# Part: Nix 2.34.8
# Reading a file:// cache needs the right to write there, unless certain empty folders exist.
#
# One would guess that a read-only mount of a cache can be a substituter. Nix makes the folders realisations and log
# (and others, by version) in every file:// cache that it opens, and fails if it may not. With the folders in place
# reading works.
# A cache that is published as a folder has to make them from the start.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
guess "the path is copied both times"
publish_hello 2.34
mkdir "$work/published"
cp -r "$work/cache/nix-cache-info" "$work/cache/nar" "$narinfo" "$work/published/"
chmod -R a-w "$work/published"
# Root may write anywhere; without this capability it is like other users.
ordinary=()
((EUID != 0)) || ordinary=(setpriv --bounding-set=-dac_override,-dac_read_search,-fowner)
export -f nix_of
export work
attempt() { try "${ordinary[@]}" bash -c 'nix_of 2.34 "$1" nix copy --from "file://$work/published" "$2"' - "$1" "$path" | tr '\n' ' '; }
result="without: $(attempt without)"$'\n'
chmod u+w "$work/published"
for folder in realisations log debuginfo build-trace-v2; do mkdir "$work/published/$folder"; done
chmod -R a-w "$work/published"
result+="with: $(attempt with)"
seen "$result"
[[ $result == "without: "*"Permission denied"*"exit status 1"*"with: exit status 0 " ]] && holds 1 || holds ""
