# The property lists that nix-darwin writes for our daemons: { "LABEL.plist" = text; … }. With nix-darwin's own modules for
# launchd, /etc and Nix, and nixpkgs' own lib; nothing of a system is built.
#
#     NIXPKGS_LIB=DIR NIX_DARWIN=DIR nix-instantiate --eval --strict --json nix/tests/darwin.nix
let
  checkout = builtins.getEnv "NIXPKGS_LIB";
  lib = import (if builtins.pathExists "${checkout}/lib" then "${checkout}/lib" else checkout) // {
    # The sources are not copied into the store.
    cleanSource = source: source;
  };
  darwin = builtins.getEnv "NIX_DARWIN";
  pkgs = import ./stand-in/pkgs.nix lib "x86_64-linux";
  flake = import ./stand-in/flake.nix lib;
  anything = default: lib.mkOption {
    type = lib.types.anything;
    inherit default;
  };
  configurations =
    (import ./configurations.nix {
      inherit lib;
      packages = flake.packages.x86_64-linux;
    }).darwin;
  lists =
    configuration:
    let
      inherit
        (lib.evalModules {
          modules = [
            "${darwin}/modules/launchd"
            flake.darwinModules.default
            configuration
            {
              # What these modules set elsewhere, and nothing here reads.
              options = {
                assertions = anything [ ];
                warnings = anything [ ];
                nix = {
                  package = anything pkgs.nix;
                  settings = anything { };
                };
                environment = lib.genAttrs [ "launchAgents" "launchDaemons" "userLaunchAgents" ] (_: anything { });
                system = anything { };
                users = anything { };
                home-manager = anything { };
              };
            }
          ];
          specialArgs = { inherit pkgs; };
        })
        config
        ;
    in
    lib.mapAttrs (_: file: file.text) config.environment.launchDaemons;
in
lib.mapAttrs (_: lists) configurations
