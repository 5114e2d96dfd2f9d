# Everything that the scripts and the tests use.
{ pkgs }:
pkgs.mkShell {
  packages = with pkgs; [
    cargo
    clippy
    curl
    garage
    nodejs
    postgresql
    python3
    rustc
    rustfmt
    watchexec
    xz
    zstd
  ];
  shellHook = ''
    export NIKS3_TEST_FAKETIME=${pkgs.libfaketime}/lib/libfaketimeMT.so.1
    export NIKS3_TEST_GARAGE=${pkgs.garage}/bin/garage NIKS3_TEST_PG_BIN=${pkgs.postgresql}/bin
  '';
}
