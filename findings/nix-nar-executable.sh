#!/usr/bin/env bash
# Part: nix-nar 0.6.0 (crates.io) with Nix 2.34.8
# The nix-nar crate and Nix make different NARs of a file that its owner may not execute, but others may.
#
# One would guess one rule for the one bit of permission that a NAR has. Nix asks for the owner's execute bit; the crate sets
# `executable` if anybody has one.
# Hashes differ for trees with odd modes (0654, or what a share or an archive made). In the store itself modes are tidied, so
# tests on store paths do not show it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
version "nix-nar 0.6.0"
guess "the same NAR for each mode"
export NIX_NAR_FILE=$work/file
result=
for mode in 644 755 654 645; do
    rm -f "$work/file"
    : >"$work/file"
    chmod "$mode" "$work/file"
    nix_of 2.34 reader nix-store --dump "$work/file" >"$work/nix.nar"
    run_rust 'nix-nar = "=0.6.0"' >"$work/crate.nar" <<'END'
fn main() {
    std::io::copy(&mut nix_nar::Encoder::new(std::env::var("NIX_NAR_FILE").unwrap()).unwrap(), &mut std::io::stdout()).unwrap();
}
END
    executable() { grep -q executable "$1" && echo executable || echo plain; }
    result+="$mode: Nix $(executable "$work/nix.nar"), nix-nar $(executable "$work/crate.nar")"$'\n'
done
seen "${result%$'\n'}"
holds "$result" = "644: Nix plain, nix-nar plain
755: Nix executable, nix-nar executable
654: Nix plain, nix-nar executable
645: Nix plain, nix-nar executable
"
