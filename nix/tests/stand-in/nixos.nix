# The options of NixOS that the modules set, and how its units look when they are written.
{ lib, pkgs }:
let
  # NixOS declares types for all of this. Here sets and lists are merged, whatever is in them.
  merge =
    a: b:
    if builtins.isAttrs a && builtins.isAttrs b && a.type or null != "derivation" then
      a // builtins.mapAttrs (name: value: if a ? ${name} then merge a.${name} value else value) b
    else if builtins.isList a && builtins.isList b then
      a ++ b
    else if a == b then
      a
    else
      throw "several values: ${builtins.toJSON [ a b ]}";
  # Without the conditions and priorities in it.
  resolved =
    value:
    if builtins.isList value then
      map resolved value
    else if !(builtins.isAttrs value) || value.type or null == "derivation" then
      value
    else
      builtins.listToAttrs (
        builtins.concatMap (
          name:
          map (value: {
            inherit name;
            value = resolved value;
          }) (contents value.${name})
        ) (builtins.attrNames value)
      );
  contents =
    value:
    if !(builtins.isAttrs value) then
      [ value ]
    else if value._type or null == "if" then
      if value.condition then contents value.content else [ ]
    else if value._type or null == "override" then
      contents value.content
    else
      [ value ];
  anything =
    default:
    lib.mkOption {
      type =
        if lib ? mkOptionType then
          lib.mkOptionType {
            name = "anything";
            merge =
              _: definitions:
              let
                values = map (definition: resolved definition.value) definitions;
              in
              builtins.foldl' merge (builtins.head values) (builtins.tail values);
          }
        else
          lib.types.anything;
      inherit default;
    };
  word = value: if builtins.isBool value then (if value then "true" else "false") else toString value;
  section =
    name: settings:
    let
      lines = lib.concatMap (
        key:
        let
          value = settings.${key};
        in
        map (one: "${key}=${word one}") (if builtins.isList value then value else [ value ])
      ) (builtins.attrNames settings);
    in
    lib.optionalString (lines != [ ]) "[${name}]\n${lib.concatStringsSep "\n" lines}\n";
  words = key: list: lib.optionalAttrs (list != [ ]) { ${key} = lib.concatStringsSep " " list; };
  head =
    unit:
    section "Unit" (
      { Description = unit.description; }
      // words "Documentation" (unit.documentation or [ ])
      // words "After" (unit.after or [ ])
      // words "Requires" (unit.requires or [ ])
      // words "Wants" (unit.wants or [ ])
      // unit.unitConfig or { }
    );
  foot = unit: section "Install" (words "WantedBy" (unit.wantedBy or [ ]));
  environment =
    unit:
    let
      path = unit.path or [ ];
      all =
        lib.optionalAttrs (path != [ ]) { PATH = lib.concatStringsSep ":" (map (p: "${p}/bin") path); }
        // unit.environment or { };
    in
    lib.optionalAttrs (all != { }) {
      Environment = lib.mapAttrsToList (name: value: builtins.toJSON "${name}=${value}") all;
    };
  named = suffix: print: units: lib.mapAttrs' (name: unit: { name = "${name}.${suffix}"; value = print unit; }) units;
in
{
  module.options = {
    assertions = anything [ ];
    warnings = anything [ ];
    environment.systemPackages = anything [ ];
    networking.firewall.allowedTCPPorts = anything [ ];
    nix.package = anything pkgs.nix;
    nix.settings = anything { };
    services.nginx = anything { };
    services.postgresql = anything { };
    systemd.services = anything { };
    systemd.sockets = anything { };
    systemd.timers = anything { };
    users = anything { };
    # Of nix-darwin.
    launchd.daemons = anything { };
    # What the tests' machines set.
    environment.etc = anything { };
    networking.hosts = anything { };
    security = anything { };
    services.dex = anything { };
    services.minio = anything { };
    virtualisation = anything { };
  };

  # File name and text of every unit.
  units =
    config:
    named "service" (
      unit: "${head unit}\n${section "Service" (environment unit // unit.serviceConfig)}${
        lib.optionalString (unit.wantedBy or [ ] != [ ]) "\n"
      }${foot unit}"
    ) config.systemd.services
    // named "socket" (unit: "${head unit}\n${section "Socket" unit.socketConfig}\n${foot unit}") config.systemd.sockets
    // named "timer" (unit: "${head unit}\n${section "Timer" unit.timerConfig}\n${foot unit}") config.systemd.timers;
}
