# What the modules make of some configurations: { "NAME/FILE" = text; … }.
#
#     nix-instantiate --eval --strict --json nix/tests/units.nix
let
  lib = import ./stand-in/lib.nix;
  pkgs = import ./stand-in/pkgs.nix lib "x86_64-linux";
  nixos = import ./stand-in/nixos.nix { inherit lib pkgs; };
  flake = import ./stand-in/flake.nix;

  evaluate =
    configuration:
    let
      inherit
        (lib.evalModules {
          modules = [
            nixos.module
            flake.nixosModules.default
            configuration
          ];
          specialArgs = { inherit pkgs; };
        })
        config
        ;
      failed = lib.filter (assertion: !assertion.assertion) config.assertions;
    in
    if failed != [ ] then throw (builtins.head failed).message else config;

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
      };
    };

  configurations = import ./configurations.nix { inherit lib; };
  flat =
    name: files:
    lib.mapAttrs' (file: text: {
      name = "${name}/${file}";
      value = text;
    }) files;
in
{
  units = builtins.foldl' (all: name: all // flat name (print configurations.right.${name})) { } (
    builtins.attrNames configurations.right
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
    overlay = builtins.attrNames (flake.overlays.default pkgs pkgs);
  };
  # Every derivation is made, so that nothing in them is left unevaluated.
  derivations = lib.mapAttrs (
    _: set: lib.mapAttrs (_: package: package.drvPath) set
  ) flake.packages;
}
