#!/usr/bin/env bash
# Part: Nix 2.34.8
# The signature of a narinfo does not cover how the NAR is stored.
#
# One would guess that a signed narinfo cannot be changed: a new URL, Compression, FileHash, FileSize or Deriver would need
# a new signature. The signature covers the store path, the NAR's hash and size, and the references only.
# That allows a cache to recompress what others have signed without their key. It also means that the signature tells
# nothing about Deriver.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
need_command xz xz-utils
guess "the recompressed path is refused for its signature"
write_hello
nix_of 2.34 writer2.34 nix key generate-secret --key-name findings-1 >"$work/key"
public=$(nix_of 2.34 writer2.34 nix key convert-secret-to-public <"$work/key")
path=$(nix_of 2.34 writer2.34 nix-build --no-out-link "$work/hello.nix" 2>/dev/null)
nix_of 2.34 writer2.34 nix copy --to "file://$work/cache?compression=none&secret-key=$work/key" "$path" 2>/dev/null
hash=$(basename "$path")
hash=${hash%%-*}
narinfo=$work/cache/$hash.narinfo
xz -k "$work/cache/$(sed -n 's/^URL: //p' "$narinfo")"
mv "$work"/cache/nar/*.xz "$work/cache/nar/other.nar.xz"
sed -i "s#^URL:.*#URL: nar/other.nar.xz#; s#^Compression:.*#Compression: xz#; /^File/d; s#^Deriver:.*#Deriver: ${hash}-other.drv#" "$narinfo"
grep -vE '^(StorePath|NarHash|Sig)' "$narinfo" | sed "s/$hash/HASH/" >"$work/shown"
wrong=findings-1:$(head -c 32 /dev/zero | base64)
said() { try nix_of 2.34 "reader$1" nix copy --from "file://$work/cache" "$path" --option require-sigs true --option trusted-public-keys "$2" | tail -1; }
result="$(cat "$work/shown")
with the key: $(said 1 "$public")
with another key: $(said 2 "$wrong")"
seen "$result"
[[ $result == *"with the key: exit status 0"*"with another key: exit status 1" ]] && holds 1 || holds ""
