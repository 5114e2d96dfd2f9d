#!/usr/bin/env bash
# Part: Nix 2.34.8
# One 500 for a narinfo ends a build that would not have needed the cache.
#
# One would guess a warning and a local build: the cache is optional, 404, 401 and 403 lead to a local build, and so
# does a cache that cannot be connected to. A 500 ends nix-build with an error before anything is built.
# So a cache whose backend is down should answer 404 or close the port rather than answer 500 for every narinfo.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
guess "a warning, then a local build"
publish_hello 2.34
result=
closed=http://127.0.0.1:$(free_port)
said=$(try nix_of 2.34 closed nix-build --no-out-link "$work/hello.nix" --option substituters "$closed")
result+="closed port: $(grep -c '^building ' <<<"$said" || true) built, $(tail -1 <<<"$said")"$'\n'
for status in 404 500; do
    start_files "$work/cache" "$status"
    said=$(try nix_of 2.34 "reader$status" nix-build --no-out-link "$work/hello.nix" --option substituters "$url")
    result+="$status: $(grep -c '^building ' <<<"$said" || true) built, $(tail -1 <<<"$said")"$'\n'
done
seen "$result$(grep error <<<"$said")"
holds "$result" = "closed port: 1 built, exit status 0
404: 1 built, exit status 0
500: 0 built, exit status 1
"
