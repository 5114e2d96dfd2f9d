# `nix run .#dev`: what scripts/dev needs, and scripts/dev.
{ pkgs }:
pkgs.writeShellApplication {
  name = "niks3-dev";
  runtimeInputs = with pkgs; [
    cargo
    curl
    garage
    nix
    postgresql
    rustc
    stdenv.cc
    watchexec
  ];
  text = ''
    export NIKS3_TEST_GARAGE=${pkgs.garage}/bin/garage NIKS3_TEST_PG_BIN=${pkgs.postgresql}/bin
    [ -x scripts/dev ] || { echo "niks3-dev: run it in a checkout of niks3" >&2; exit 2; }
    exec scripts/dev "''${@:---with-postgres-and-garage}"
  '';
}
