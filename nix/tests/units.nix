# What the modules make of some configurations: { "NAME/FILE" = text; … }.
#
#     nix-instantiate --eval --strict --json nix/tests/units.nix
#
# With NIXPKGS_LIB=DIR, a checkout of nixpkgs, by its `lib` instead of the stand-in.
let
  checkout = builtins.getEnv "NIXPKGS_LIB";
  lib =
    if checkout == "" then
      import ./stand-in/lib.nix
    else
      import (if builtins.pathExists "${checkout}/lib" then "${checkout}/lib" else checkout)
      // {
        # The sources are not copied into the store.
        cleanSource = source: source;
      };
  pkgs = import ./stand-in/pkgs.nix lib "x86_64-linux";
  nixos = import ./stand-in/nixos.nix { inherit lib pkgs; };
  flake = import ./stand-in/flake.nix lib;

  evaluateWith =
    module: configuration:
    let
      inherit
        (lib.evalModules {
          modules = [
            nixos.module
            module
            configuration
          ];
          specialArgs = { inherit pkgs; };
        })
        config
        ;
      failed = lib.filter (assertion: !assertion.assertion) config.assertions;
    in
    if failed != [ ] then throw (builtins.head failed).message else config;

  evaluate = evaluateWith flake.nixosModules.default;

  # Of nix-darwin: what launchd is told.
  printDarwin =
    configuration:
    let
      config = evaluateWith flake.darwinModules.default configuration;
    in
    lib.mapAttrs' (name: daemon: {
      name = "${name}.json";
      value = builtins.toJSON daemon.serviceConfig;
    }) config.launchd.daemons
    // {
      "settings.json" = builtins.toJSON config.nix.settings;
    };

  print =
    configuration:
    let
      config = evaluate configuration;
    in
    nixos.units config
    // {
      "oidc.json" = builtins.toJSON (
        import ../modules/oidc.nix { inherit lib; } config.services.niks3.oidc
      );
      "rest.json" = builtins.toJSON {
        inherit (config.networking.firewall) allowedTCPPorts;
        inherit (config.services) nginx postgresql;
        inherit (config) users;
        inherit (config.nix) settings;
        warnings = builtins.length config.warnings;
      };
    };

  configurations = import ./configurations.nix {
    inherit lib;
    packages = flake.packages.x86_64-linux;
  };
  flat =
    name: files:
    lib.mapAttrs' (file: text: {
      name = "${name}/${file}";
      value = text;
    }) files;
in
{
  units =
    builtins.foldl' (all: name: all // flat name (print configurations.right.${name})) { } (
      builtins.attrNames configurations.right
    )
    // builtins.foldl' (all: name: all // flat name (printDarwin configurations.darwin.${name})) { } (
      builtins.attrNames configurations.darwin
    );
  # Of each configuration that makes no sense, whether it is refused.
  refused = lib.mapAttrs (
    _: configuration: !(builtins.tryEval (builtins.deepSeq (print configuration) true)).success
  ) configurations.wrong;
  # The outputs of the flake, by name.
  outputs = {
    packages = lib.mapAttrs (_: builtins.attrNames) flake.packages;
    checks = lib.mapAttrs (_: builtins.attrNames) flake.checks;
    devShells = lib.mapAttrs (_: builtins.attrNames) flake.devShells;
    apps = lib.mapAttrs (_: lib.mapAttrs (_: app: app.program)) flake.apps;
    formatter = lib.mapAttrs (_: f: f.pname) flake.formatter;
    nixosModules = builtins.attrNames flake.nixosModules;
    darwinModules = builtins.attrNames flake.darwinModules;
    overlay = builtins.attrNames (flake.overlays.default pkgs pkgs);
  };
  # Every derivation is made, so that nothing in them is left unevaluated.
  derivations = lib.mapAttrs (
    _: set: lib.mapAttrs (_: package: package.drvPath) set
  ) flake.packages;
}
