# What the units share.
{ lib }:
rec {
  # An argument of a command line in a unit, as systemd reads it.
  quote =
    argument:
    let
      text = toString argument;
    in
    if builtins.match "[A-Za-z0-9_@.,:/=+-]+" text != null then
      text
    else
      "\""
      + builtins.replaceStrings [ "\\" "\"" "%" "$" "\n" ] [ "\\\\" "\\\"" "%%" "$$" "\\n" ] text
      + "\"";

  # The same, in which `$NAME` and `${NAME}` are the values of variables of the unit.
  quoteWithVariables =
    text:
    let
      part =
        found:
        if builtins.isList found then
          "\${" + builtins.head found + "}"
        else
          builtins.replaceStrings [ "\\" "\"" "%" "$" "\n" ] [ "\\\\" "\\\"" "%%" "$$" "\\n" ] found;
      parts = builtins.split "[$][{]?([A-Za-z_][A-Za-z0-9_]*)[}]?" text;
    in
    if builtins.length parts == 1 then quote text else "\"" + lib.concatStrings (map part parts) + "\"";

  # `--option value`, unless the value is null.
  option = name: value: lib.optionals (value != null) [ "--${name}" (quote value) ];
  # `--option=true`, unless the value is null.
  truth = name: value: lib.optional (value != null) "--${name}=${if value then "true" else "false"}";
  # `--option value` for each of them.
  each = name: values: lib.concatMap (option name) values;
  # `--option` with the path of a credential; systemd puts its folder for `%d`.
  secret = name: credential: file: lib.optionals (file != null) [ "--${name}" "%d/${credential}" ];
  # `LoadCredential=` for a file that is given.
  load = credential: file: lib.optional (file != null) "${credential}:${toString file}";

  hardened = {
    CapabilityBoundingSet = "";
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    NoNewPrivileges = true;
    PrivateDevices = true;
    PrivateTmp = true;
    ProcSubset = "pid";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectProc = "invisible";
    ProtectSystem = "strict";
    RemoveIPC = true;
    RestrictAddressFamilies = [
      "AF_INET"
      "AF_INET6"
      "AF_UNIX"
    ];
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
    SystemCallFilter = [
      "@system-service"
      "~@privileged @resources"
    ];
    # Refused, not killed: what a library tries, it can do without.
    SystemCallErrorNumber = "EPERM";
    UMask = "0077";
  };
}
