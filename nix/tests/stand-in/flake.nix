# The flake over the stand-in for nixpkgs.
let
  lib = import ./lib.nix;
  self = (import ../../../flake.nix).outputs {
    inherit self;
    nixpkgs = {
      inherit lib;
      legacyPackages = lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ] (import ./pkgs.nix lib);
    };
  };
in
self
