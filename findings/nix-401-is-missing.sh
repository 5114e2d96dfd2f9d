#!/usr/bin/env bash
# Part: Nix 2.34.8
# Nix takes 401 and 403 for "this path is not in the cache", says nothing, and remembers it for an hour.
#
# One would guess that a cache that refuses a request (a wrong or expired token in netrc) is reported, at least as a
# warning, as a cache that cannot be reached is. Nix builds the path itself without a word. The answer is kept in the
# client's disk cache for narinfo-cache-negative-ttl, so the cache is not asked again after the token was corrected.
# A cache that wants its users to notice a bad token must refuse something else than a narinfo: 401 to nix-cache-info
# is reported.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
guess "a warning that names the cache; with access restored the path is fetched"
publish_hello 2.34
result=
for status in 401 403; do
    start_files "$work/cache" "$status"
    said=$(try nix_of 2.34 "reader$status" nix-build --no-out-link "$work/hello.nix" --option substituters "$url")
    result+="$status: $(grep -c "^GET /$hash.narinfo" "$work/requests") request; "
    result+="$(grep -ciE 'warning|error|401|403' <<<"$said" || true) complaints; $(grep -c '^building ' <<<"$said") built"$'\n'
done
# Access is restored: the same folder and the same URL without refusals.
kill -- "-${services[-1]}"
sleep 1
: >"$work/requests"
start "$port" python3 "$work/files.py" "$work/cache" "$port" "$work/requests" ""
nix_of 2.34 reader403 nix-store --delete "$path" >/dev/null 2>&1
said=$(try nix_of 2.34 reader403 nix-build --no-out-link "$work/hello.nix" --option substituters "$url")
result+="restored: $(grep -c "/$hash.narinfo" "$work/requests" || true) requests; $(grep -c '^building ' <<<"$said") built"
seen "$result"
holds "$result" = "401: 1 request; 0 complaints; 1 built
403: 1 request; 0 complaints; 1 built
restored: 0 requests; 1 built"
