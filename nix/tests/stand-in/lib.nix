# A small stand-in for the part of nixpkgs' lib that the flake and its modules use, for
# machines without nixpkgs. Stricter where it can be: an option that nobody declared, a
# value of another type and a missing value are errors here, too.
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    genList
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    mapAttrs
    all
    removeAttrs
    ;
  type = name: check: {
    inherit name check;
    merge = where: values: mergeEqual where values;
  };
  mergeEqual =
    where: values:
    if all (value: value == builtins.head values) values then
      builtins.head values
    else
      throw "${where} has several values";
  show = path: concatStringsSep "." path;
  isDerivation = value: isAttrs value && value.type or null == "derivation";

  types = rec {
    bool = type "bool" isBool;
    str = type "str" isString;
    path = type "path" (v: isPath v || (isString v && builtins.substring 0 1 v == "/"));
    package = type "package" isDerivation;
    int = type "int" isInt;
    ints = {
      positive = type "positive int" (v: isInt v && v > 0);
      unsigned = type "unsigned int" (v: isInt v && v >= 0);
    };
    enum = values: type "one of ${builtins.toJSON values}" (v: elem v values);
    either = a: b: {
      name = "${a.name} or ${b.name}";
      check = v: a.check v || b.check v;
      merge = where: values: mergeEqual where values;
    };
    nullOr = inner: {
      name = "null or ${inner.name}";
      check = v: v == null || inner.check v;
      merge =
        where: values: if all (v: v == null) values then null else inner.merge where values;
    };
    listOf = inner: {
      name = "list of ${inner.name}";
      check = v: isList v && all inner.check v;
      merge = where: values: map (v: inner.merge where [ v ]) (concatLists values);
    };
    attrsOf = inner: {
      name = "attributes of ${inner.name}";
      check = v: isAttrs v && all inner.check (builtins.attrValues v);
      merge =
        where: values:
        mapAttrs (name: of: inner.merge "${where}.${name}" of) (builtins.zipAttrsWith (_: of: of) values);
    };
    submodule = module: {
      name = "submodule";
      check = isAttrs;
      merge =
        where: values:
        (evalModules {
          modules = [ module ] ++ map (config: { inherit config; }) values;
          specialArgs = { };
          prefix = [ where ];
        }).config;
    };
    # What NixOS itself declares: merged without looking.
    anything = {
      name = "anything";
      check = _: true;
      merge = where: values: foldl' (mergeDeep where) (builtins.head values) (builtins.tail values);
    };
  };
  mergeDeep =
    where: a: b:
    if isDerivation a || isDerivation b then
      mergeEqual where [ a b ]
    else if isAttrs a && isAttrs b then
      a // mapAttrs (n: v: if a ? ${n} then mergeDeep "${where}.${n}" a.${n} v else v) b
    else if isList a && isList b then
      a ++ b
    else
      mergeEqual where [ a b ];

  isOption = v: isAttrs v && v._type or null == "option";
  mkOption = option: { _type = "option"; } // option;
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };

  # The definitions in a value: [{ priority, value }], properties resolved.
  definitions =
    priority: value:
    if !(isAttrs value) then
      [ { inherit priority value; } ]
    else if value._type or null == "if" then
      if value.condition then definitions priority value.content else [ ]
    else if value._type or null == "merge" then
      concatMap (definitions priority) value.contents
    else if value._type or null == "override" then
      definitions value.priority value.content
    else
      [ { inherit priority value; } ];

  # A set of options as sets without a property around them: those go to the members, so
  # that what there is can be seen before conditions are, which depend on it.
  pushed =
    value:
    if value._type or null == "if" then
      map (mapAttrs (_: mkIf value.condition)) (pushed value.content)
    else if value._type or null == "merge" then
      concatMap pushed value.contents
    else if value._type or null == "override" then
      map (mapAttrs (_: mkOverride value.priority)) (pushed value.content)
    else
      [ value ];

  # Properties inside of a value that NixOS declares: resolved in place.
  plain =
    value:
    if isList value then
      map plain value
    else if !(isAttrs value) || isDerivation value then
      value
    else if value ? _type then
      (builtins.head (map (d: plain d.value) (definitions 100 value)))
    else
      mapAttrs (_: plain) (
        builtins.listToAttrs (
          concatMap (
            name: if definitions 100 value.${name} == [ ] then [ ] else [ { inherit name; value = value.${name}; } ]
          ) (attrNames value)
        )
      );

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      arguments = specialArgs // { inherit config lib; };
      load =
        module:
        let
          value = if isPath module then import module else module;
          body = if isFunction value then value arguments else value;
          structured = body ? options || body ? config || body ? imports;
          rest = removeAttrs body [ "imports" "options" "config" ];
        in
        if structured && rest != { } then
          throw "a module has ${builtins.toJSON (attrNames rest)} beside options and config"
        else
          [
            {
              options = body.options or { };
              config = if structured then body.config or { } else body;
            }
          ]
          ++ concatMap load (body.imports or [ ]);
      all' = concatMap load modules;
      options = foldl' (mergeDeep "options") { } (map (m: m.options) all');

      walk =
        path: option: values:
        if isOption option then
          value path option (concatMap (definitions 100) values)
        else
          let
            sets = concatMap pushed values;
            bad = filter (name: !(option ? ${name})) (concatMap attrNames sets);
          in
          if bad != [ ] then
            throw "The option `${show (path ++ [ (builtins.head bad) ])}' does not exist"
          else
            mapAttrs (
              name: inner:
              walk (path ++ [ name ]) inner (concatMap (set: if set ? ${name} then [ set.${name} ] else [ ]) sets)
            ) option;
      value =
        path: option: values:
        let
          where = show path;
          every =
            values
            ++ (if option ? default then [ { priority = 1500; value = option.default; } ] else [ ]);
          best = foldl' (a: d: if d.priority < a then d.priority else a) 9999 every;
          chosen = map (d: plain d.value) (filter (d: d.priority == best) every);
          wrong = filter (v: !(option.type.check v)) chosen;
        in
        if every == [ ] then
          throw "The option `${where}' is used but not defined"
        else if wrong != [ ] then
          throw "The option `${where}' is not of type ${option.type.name}"
        else
          option.type.merge where chosen;
      config = walk prefix options (map (m: m.config) all');
    in
    {
      inherit config options;
    };

  lib = rec {
    inherit
      evalModules
      filter
      isDerivation
      mapAttrs
      mkIf
      mkMerge
      mkOption
      mkOverride
      types
      concatMap
      concatStringsSep
      ;
    setAttrByPath =
      path: value: if path == [ ] then value else { ${builtins.head path} = setAttrByPath (builtins.tail path) value; };
    getAttrFromPath =
      path: set: if path == [ ] then set else getAttrFromPath (builtins.tail path) set.${builtins.head path};
    # What is defined under the old name is defined under the new one, with a warning.
    mkRenamedOptionModule =
      from: to:
      { config, ... }:
      let
        value = getAttrFromPath from config;
        given = !(isAttrs value && value ? undefined);
      in
      {
        options = setAttrByPath from (mkOption {
          type = types.anything;
          default.undefined = true;
        });
        config = mkMerge [
          (mkIf given (setAttrByPath to value))
          { warnings = optional given "The option `${show from}' has been renamed to `${show to}'"; }
        ];
      };
    mkDefault = mkOverride 1000;
    mkForce = mkOverride 50;
    mkEnableOption =
      what:
      mkOption {
        type = types.bool;
        default = false;
        description = "Whether to enable ${what}.";
      };
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    optionalString = condition: text: if condition then text else "";
    optionalAttrs = condition: attrs: if condition then attrs else { };
    genAttrs = names: make: listToAttrs (map (name: { inherit name; value = make name; }) names);
    mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    filterAttrs =
      keep: set:
      listToAttrs (
        concatMap (name: optional (keep name set.${name}) { inherit name; value = set.${name}; }) (attrNames set)
      );
    imap0 = f: list: genList (i: f i (builtins.elemAt list i)) (length list);
    hasSuffix =
      suffix: text:
      let
        n = builtins.stringLength text - builtins.stringLength suffix;
      in
      n >= 0 && builtins.substring n (-1) text == suffix;
    toInt = builtins.fromJSON;
    importTOML = file: builtins.fromTOML (builtins.readFile file);
    cleanSource = source: source;
    concatStrings = concatStringsSep "";
    getExe' = package: name: "${package}/bin/${name}";
    getExe = package: "${package}/bin/${package.meta.mainProgram or package.pname}";
    licenses.mit = "MIT";
    platforms.unix = [ ];
  };
in
lib
