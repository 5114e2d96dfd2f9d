#!/usr/bin/env bash
# Part: Nix 2.26.3
# Nix 2.26 keeps nix-cache-info for a week, and neither the TTL options nor --refresh make it look again.
#
# One would guess that --refresh, or narinfo-cache-positive-ttl = 0, asks the cache for everything anew. Only narinfos are
# asked for again; Priority and WantMassQuery stay as they were, up to seven days. (Nix 2.34 has an option for it.)
# An operator who changes the priority of a cache sees some clients follow a week later, and cannot speed it up.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.26
guess "--refresh asks for nix-cache-info and for the narinfo"
publish_hello 2.26
start_files "$work/cache"
asked() {
    : >"$work/requests"
    nix_of 2.26 reader nix path-info --store "$url" "$path" "$@" >/dev/null
    sort -u "$work/requests" | grep '^GET' | sed "s/$hash/HASH/" | tr '\n' ' '
}
result="first: $(asked)
TTL 0: $(asked --option narinfo-cache-positive-ttl 0 --option narinfo-cache-negative-ttl 0)
--refresh: $(asked --refresh)"
seen "$result"
holds "$result" = "first: GET /HASH.narinfo GET /nix-cache-info 
TTL 0: GET /HASH.narinfo 
--refresh: GET /HASH.narinfo "
