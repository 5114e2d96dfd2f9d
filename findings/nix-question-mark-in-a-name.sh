#!/usr/bin/env bash
# Part: Nix 2.34.8
# The build log of a derivation with `?` in its name can be stored in a cache, but not be fetched over HTTP.
#
# One would guess that `?`, which is allowed in store path names, is escaped in the request. Nix puts the name into the URL
# as it is, so the server gets `/log/...-q` and a query. A file server answers 404; the same folder as file:// has the log.
# A cache that wants to serve such logs has to join path and query again.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
guess "the log is printed both times"
publish_hello 2.34 --argstr name 'q?x=1'
drv=$(nix_of 2.34 writer2.34 nix-instantiate "$work/hello.nix" --argstr name 'q?x=1' 2>/dev/null)
nix_of 2.34 writer2.34 nix store copy-log --to "file://$work/cache" "$drv"
start_files "$work/cache"
result="file: $(try nix_of 2.34 reader nix log --store "file://$work/cache" "$drv" | tail -2 | tr '\n' ' ')
http: $(try nix_of 2.34 reader nix log --store "$url" "$drv" | tail -1)
$(grep /log/ "$work/requests" | sed 's/[a-z0-9]\{32\}/HASH/')"
seen "$result"
holds "$result" = "file: hello exit status 0 
http: exit status 1
GET /log/HASH-q?x=1.drv"
