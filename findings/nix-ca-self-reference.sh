#!/usr/bin/env bash
# Part: Nix 2.8.0 and 2.26.3
# A content-addressed path that refers to itself cannot be copied between Nix 2.8 and Nix 2.26.
#
# One would guess that a content address is the same in all versions: that is what it is for, and it is in the narinfo as
# CA with algorithm and method. The two versions hash references of a path to itself in different ways, so each refuses
# what the other made with "ca hash mismatch", in both directions. Other content-addressed paths are fine.
# A cache that is filled by one version and read by another serves such paths in vain. It cannot tell from the narinfo.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.8 2.26
guess "both versions read both caches"
write_hello
result=
for writer in 2.8 2.26; do
    path=$(nix_of "$writer" "writer$writer" nix-build --no-out-link "$work/hello.nix" --arg selfReference true 2>/dev/null)
    nix_of "$writer" "writer$writer" nix copy --to "file://$work/cache$writer" "$path" 2>/dev/null
    for reader in 2.8 2.26; do
        said=$(try nix_of "$reader" "reader$writer-$reader" nix copy --from "file://$work/cache$writer" "$path")
        result+="$writer to $reader: $(grep -o 'ca hash mismatch' <<<"$said" || true) $(tail -1 <<<"$said")"$'\n'
    done
done
seen "$result"
holds "$result" = "2.8 to 2.8:  exit status 0
2.8 to 2.26: ca hash mismatch exit status 1
2.26 to 2.8: ca hash mismatch exit status 1
2.26 to 2.26:  exit status 0
"
