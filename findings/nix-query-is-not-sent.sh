#!/usr/bin/env bash
# Part: Nix 2.34.8
# The query of a cache's URL is never sent to the cache.
#
# One would guess that http://cache/?token=secret sends the token with each request, as storage services with signed
# queries need it. Nix takes the query for settings of its own, drops what it does not know, and sends none of it.
# So access to a cache cannot be given by a URL with a query; a path, netrc or a header by a proxy has to do.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
guess "every request has ?token=secret"
publish_hello 2.34
start_files "$work/cache"
said=$(nix_of 2.34 reader nix path-info --store "$url?token=secret" "$path" 2>&1)
result="$(grep -c token "$work/requests" || true) of $(wc -l <"$work/requests") requests have the token; $(grep -o "warning: unknown setting 'token'" <<<"$said")"
seen "$result"
[[ $result == "0 of "* ]] && holds 1 || holds ""
