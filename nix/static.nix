# The same programs as single files, for machines without Nix.
{ pkgs, lib, commit ? "" }:
lib.mapAttrs' (name: value: {
  name = "${name}-static";
  inherit value;
}) (import ./packages.nix { pkgs = pkgs.pkgsStatic; inherit lib commit; })
