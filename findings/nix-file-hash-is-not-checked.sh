#!/usr/bin/env bash
# Part: Nix 2.34.8
# Nix compares neither FileHash nor FileSize of a narinfo with the file that it downloads.
#
# One would guess that a file with another hash than FileHash is refused before it is unpacked: what else is the field for? Nix reads both
# and looks at the hash and the size of the unpacked NAR alone, so that wrong values go unnoticed, for years.
# A cache that stores NARs anew, with other settings of the compressor, works with the old fields, until a tool checks them.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
guess "right: copied; FileHash, FileSize, NarSize: refused"
publish_hello 2.34
cp "$narinfo" "$work/right"
result=
for field in right FileHash FileSize NarSize; do
    case $field in
    FileHash) value=sha256:0000000000000000000000000000000000000000000000000000 ;;
    *) value=7 ;;
    esac
    sed "s/^$field: .*/$field: $value/" "$work/right" >"$narinfo"
    chmod -R u+w "$work/store"
    rm -rf "$work/store"
    nix_of 2.34 "reader$field" nix copy --from "file://$work/cache" "$path" >"$work/said" 2>&1 && said=copied || said=refused
    result+="$field: $said
"
done
result=${result%?}
seen "$result"
holds "$result" = "right: copied
FileHash: copied
FileSize: copied
NarSize: refused"
