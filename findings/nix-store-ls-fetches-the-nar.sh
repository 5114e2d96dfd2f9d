#!/usr/bin/env bash
# Part: Nix 2.34.8
# `nix store ls` downloads the whole NAR although the cache has a listing.
#
# One would guess that HASH.ls, which Nix itself writes with write-nar-listing, is what `nix store ls` reads: it holds all
# that the command prints. Nix never asks for it and fetches and unpacks the NAR, however large.
# A cache that writes listings for its users' `nix store ls` writes them for web pages only.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
guess "GET HASH.narinfo and GET HASH.ls"
publish_hello 2.34
[[ -e $work/cache/$hash.ls ]]
start_files "$work/cache"
nix_of 2.34 reader nix store ls --store "$url" "$path" >/dev/null
result=$(grep '^GET' "$work/requests" | sed "s/$hash/HASH/; s#nar/.*#nar/...#")
seen "$result"
holds "$result" = "GET /nix-cache-info
GET /HASH.narinfo
GET /nar/..."
