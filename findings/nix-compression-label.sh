#!/usr/bin/env bash
# Part: Nix 2.8.0 and 2.26.3
# Nix 2.8 reads NARs whose Compression is wrong; Nix 2.26 refuses the same files.
#
# One would guess that a wrong `Compression: xz` on a file of zstd frames is an error in every version, or in none. 2.8 finds
# out the format from the bytes and takes any label but `none` and `br`; 2.26 believes the label.
# So a cache with wrong labels works for years and breaks with its users' next Nix. A test of a cache needs both kinds of
# readers, and a cache that takes narinfos from others has to check the label against the bytes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.8 2.26
guess "the same from both versions"
result=
for nix in 2.8 2.26; do
    publish_hello "$nix"
    cp "$narinfo" "$work/narinfo"
    for label in zstd xz bzip2 lz4; do
        sed "s/^Compression: .*/Compression: $label/" "$work/narinfo" >"$narinfo"
        result+="$nix $label: $(STORE=$work/store try nix_of "$nix" "reader$nix-$label" nix copy --from "file://$work/cache" "$path" | tail -1)"$'\n'
    done
    chmod -R u+w "$work/store"
    rm -rf "$work/cache" "$work/store"
done
seen "$result"
holds "$result" = "2.8 zstd: exit status 0
2.8 xz: exit status 0
2.8 bzip2: exit status 0
2.8 lz4: exit status 0
2.26 zstd: exit status 0
2.26 xz: exit status 1
2.26 bzip2: exit status 1
2.26 lz4: exit status 1
"
