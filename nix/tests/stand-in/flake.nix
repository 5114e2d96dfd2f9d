# The flake over the stand-in for nixpkgs, whose `lib` may be the real one.
lib:
let
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
