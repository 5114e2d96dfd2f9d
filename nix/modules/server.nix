# `services.niks3`: the server, its database, its proxy and its garbage collection.
self:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.niks3;
  unit = import ./unit.nix { inherit lib; };
  inherit (unit)
    each
    load
    option
    quote
    secret
    truth
    ;
  inherit (lib) mkIf optional optionals;

  server = if cfg.serverPackage != null then cfg.serverPackage else cfg.package;
  # With both, as in configurations of the original niks3, `package` is the client.
  client = if cfg.serverPackage != null && isClient cfg.package then cfg.package else cfg.clientPackage;
  isClient = package: package.meta.mainProgram or package.pname or "" == "niks3";

  # What a local database is called by configurations of the original niks3.
  ofOriginal = "postgres:///niks3?user=niks3";
  local =
    cfg.database.createLocally && (cfg.database.url == null || cfg.database.url == ofOriginal);
  database =
    if local then
      "postgres://${cfg.user}@/${cfg.user}?host=/run/postgresql"
    else
      cfg.database.url;

  oidcFile =
    if cfg.oidc.configFile != null then
      cfg.oidc.configFile
    else if cfg.oidc.providers != { } then
      pkgs.writeText "niks3-oidc.json" (builtins.toJSON (import ./oidc.nix { inherit lib; } cfg.oidc))
    else
      null;

  # "[::]:5751" and "0.0.0.0:5751" are addresses to listen on, not to go to.
  parts = builtins.match "(.*):([0-9]+)" cfg.httpAddr;
  host = builtins.head parts;
  port = lib.toInt (builtins.elemAt parts 1);
  here = if builtins.elem host [ "0.0.0.0" "[::]" ] then "127.0.0.1" else host;
  address =
    if cfg.tls.certFile != null && cfg.serverUrl != null then
      cfg.serverUrl
    else
      "http${lib.optionalString (cfg.tls.certFile != null) "s"}://${here}:${toString port}";

  mtlsByNginx = cfg.nginx.enable && cfg.nginx.mtls.enable && cfg.nginx.clientCaFile != null;
  proxyHeader =
    if cfg.tls.proxyHeader == null && mtlsByNginx then "X-SSL-Client-Verify" else cfg.tls.proxyHeader;
  subjectHeader =
    if cfg.tls.subjectHeader == null && mtlsByNginx then "X-SSL-Client-Subject" else cfg.tls.subjectHeader;

  redirectTTL = cfg.readProxy.redirectTTL;
  redirect =
    if cfg.readProxy.redirect != null || redirectTTL == null then
      cfg.readProxy.redirect
    else
      !(builtins.elem (toString redirectTTL) [ "" "0" "0s" ]);

  signKeys = lib.imap0 (index: file: {
    credential = "signing-key-${toString index}";
    inherit file;
  }) cfg.signKeyFiles;

  flags =
    [ "--data-dir" "/var/lib/niks3" ]
    ++ option "http-addr" cfg.httpAddr
    ++ lib.optionals (database != null) [ "--db" (unit.quoteWithVariables database) ]
    ++ option "adopt-bucket" cfg.adoptBucket
    ++ secret "api-token-path" "api-token" cfg.apiTokenFile
    ++ lib.concatMap (key: secret "sign-key-path" key.credential key.file) signKeys
    ++ optionals (cfg.s3.bucket != null) (
      option "s3-bucket" cfg.s3.bucket
      ++ option "s3-endpoint" cfg.s3.endpoint
      ++ option "s3-region" cfg.s3.region
      ++ truth "s3-use-ssl" cfg.s3.useSSL
      ++ option "s3-bucket-lookup" cfg.s3.bucketLookup
      ++ secret "s3-access-key-path" "s3-access-key" cfg.s3.accessKeyFile
      ++ secret "s3-secret-key-path" "s3-secret-key" cfg.s3.secretKeyFile
      ++ truth "s3-use-iam" (if cfg.s3.useIAM then true else null)
      ++ option "s3-concurrency" cfg.s3.concurrency
      ++ option "s3-rate-limit" cfg.s3.rateLimit
      ++ option "s3-public-url" cfg.s3.publicUrl
      ++ option "s3-checksum" cfg.s3.checksum
      ++ truth "s3-delete-versions" cfg.s3.deleteVersions
    )
    ++ option "cache-url" cfg.cacheUrl
    ++ option "server-url" cfg.serverUrl
    ++ option "store-dir" cfg.storeDir
    ++ option "priority" cfg.priority
    ++ option "wait-for" cfg.waitFor
    ++ lib.optionals cfg.nginx.enable [ "--trusted-proxy" "127.0.0.1" "--trusted-proxy" "::1" ]
    ++ option "push-lease" cfg.pushLease
    ++ option "verify-uploads" cfg.verifyUploads
    ++ option "verify-concurrency" cfg.verifyConcurrency
    ++ option "keep-replaced" cfg.keepReplaced
    ++ option "listings" cfg.listings
    ++ truth "index-debug-info" cfg.indexDebugInfo
    ++ option "max-nar-size" cfg.maxNarSize
    ++ truth "enable-read-proxy" cfg.readProxy.enable
    ++ truth "read-redirect" redirect
    ++ option "oidc-config" oidcFile
    ++ secret "tls-cert" "tls-cert" cfg.tls.certFile
    ++ secret "tls-key" "tls-key" cfg.tls.keyFile
    ++ secret "tls-client-ca" "tls-client-ca" cfg.tls.clientCaFile
    ++ each "mtls-bound-subject" cfg.tls.boundSubjects
    ++ each "mtls-bound-subject-read" cfg.tls.boundSubjectsRead
    ++ option "mtls-proxy-header" proxyHeader
    ++ option "mtls-subject-header" subjectHeader
    ++ option "log" cfg.log.level
    ++ option "log-format" cfg.log.format
    ++ map quote cfg.extraFlags;
in
{
  options.services.niks3 = import ./options.nix { inherit lib pkgs self; };

  imports =
    let
      at = path: [ "services" "niks3" ] ++ path;
      renamed = from: to: lib.mkRenamedOptionModule (at from) (at to);
    in
    [
      (renamed [ "database" "connectionString" ] [ "database" "url" ])
      (renamed [ "nginx" "enableACME" ] [ "nginx" "acme" ])
      (renamed [ "nginx" "mtls" "clientCAFile" ] [ "nginx" "clientCaFile" ])
      (renamed [ "nginx" "mtls" "boundSubjects" ] [ "tls" "boundSubjects" ])
      (renamed [ "nginx" "mtls" "boundSubjectsRead" ] [ "tls" "boundSubjectsRead" ])
    ];

  config = mkIf cfg.enable {
    warnings =
      optional (cfg.serverPackage != null)
        "services.niks3.serverPackage is obsolete: the server is services.niks3.package, the client services.niks3.clientPackage"
      ++ optional (redirectTTL != null)
        "services.niks3.readProxy.redirectTTL is obsolete: use services.niks3.readProxy.redirect; addresses are good for five minutes";

    assertions = [
      {
        assertion = !(isClient server);
        message = "services.niks3.package is the server here, and ${server.pname or "this"} is the client: put that into services.niks3.clientPackage";
      }
      {
        assertion = parts != null;
        message = "services.niks3.httpAddr: write an address and a port, as 127.0.0.1:5751";
      }
      {
        assertion = cfg.s3.endpoint == null || cfg.s3.bucket != null;
        message = "services.niks3.s3.endpoint needs services.niks3.s3.bucket";
      }
      {
        assertion = cfg.oidc.configFile == null || cfg.oidc.providers == { };
        message = "services.niks3.oidc: give configFile or providers, not both";
      }
      {
        assertion = (cfg.tls.certFile == null) == (cfg.tls.keyFile == null);
        message = "services.niks3.tls: certFile and keyFile belong together";
      }
      {
        assertion = !(cfg.nginx.enable && cfg.tls.certFile != null);
        message = "services.niks3: let nginx or the server speak TLS, not both";
      }
    ];

    users.users = mkIf (cfg.user == "niks3") {
      niks3 = {
        isSystemUser = true;
        inherit (cfg) group;
      };
    };
    users.groups = mkIf (cfg.group == "niks3") { niks3 = { }; };

    environment.systemPackages = [ client ];

    services.postgresql = mkIf local {
      enable = true;
      ensureDatabases = [ cfg.user ];
      ensureUsers = [
        {
          name = cfg.user;
          ensureDBOwnership = true;
        }
      ];
    };

    systemd.services.niks3 = {
      description = "Server of a Nix binary cache";
      documentation = [ "man:niks3-server(1)" ];
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      requires = optional local "postgresql.target" ++ optional cfg.socketActivation "niks3.socket";
      after = [ "network-online.target" ] ++ optional local "postgresql.target";
      serviceConfig = unit.hardened // {
        # The files are read again. Type notify-reload would need systemd 253.
        Type = "notify";
        ExecReload = "/bin/sh -c 'kill -HUP $MAINPID'";
        ExecStart = lib.concatStringsSep " " ([ (lib.getExe server) ] ++ flags);
        User = cfg.user;
        Group = cfg.group;
        StateDirectory = "niks3";
        StateDirectoryMode = "0700";
        EnvironmentFile = optional (cfg.environmentFile != null) (toString cfg.environmentFile);
        LoadCredential =
          load "api-token" cfg.apiTokenFile
          ++ lib.concatMap (key: load key.credential key.file) signKeys
          ++ load "s3-access-key" cfg.s3.accessKeyFile
          ++ load "s3-secret-key" cfg.s3.secretKeyFile
          ++ load "tls-cert" cfg.tls.certFile
          ++ load "tls-key" cfg.tls.keyFile
          ++ load "tls-client-ca" cfg.tls.clientCaFile;
        Restart = "on-failure";
        RestartSec = 2;
        # A wrong option is as wrong the next time.
        RestartPreventExitStatus = 2;
        # The sign of life is that database and bucket answer.
        WatchdogSec = 120;
        TimeoutStopSec = 15;
        LimitNOFILE = 65536;
      }
      // lib.optionalAttrs (port < 1024 && !cfg.socketActivation) {
        AmbientCapabilities = "CAP_NET_BIND_SERVICE";
        CapabilityBoundingSet = "CAP_NET_BIND_SERVICE";
      };
    };

    systemd.sockets.niks3 = mkIf cfg.socketActivation {
      description = "Socket of the server of a Nix binary cache";
      wantedBy = [ "sockets.target" ];
      socketConfig = {
        ListenStream = cfg.httpAddr;
        Backlog = 4096;
      };
    };

    systemd.services.niks3-gc = mkIf cfg.gc.enable {
      description = "Garbage collection of a Nix binary cache";
      documentation = [ "man:niks3-gc(1)" ];
      requires = [ "niks3.service" ];
      after = [ "niks3.service" ];
      environment.NIKS3_SERVER_URL = address;
      serviceConfig = unit.hardened // {
        Type = "oneshot";
        DynamicUser = true;
        LoadCredential = [
          "auth-token:${
            if cfg.apiTokenFile != null then toString cfg.apiTokenFile else "/var/lib/niks3/api-token"
          }"
        ];
        ExecStart = lib.concatStringsSep " " (
          [ (lib.getExe' client "niks3") "gc" "--auth-token-path" "%d/auth-token" ]
          ++ option "older-than" cfg.gc.olderThan
          ++ option "failed-uploads-older-than" cfg.gc.failedUploadsOlderThan
        );
      };
    };

    systemd.timers.niks3-gc = mkIf cfg.gc.enable {
      description = "Garbage collection of a Nix binary cache";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = cfg.gc.schedule;
        RandomizedDelaySec = cfg.gc.randomizedDelaySec;
        Persistent = true;
      };
    };

    services.nginx = mkIf cfg.nginx.enable {
      enable = true;
      recommendedTlsSettings = true;
      virtualHosts.${cfg.nginx.domain} = {
        inherit (cfg.nginx) forceSSL;
        enableACME = cfg.nginx.acme;
        extraConfig = lib.optionalString mtlsByNginx ''
          ssl_client_certificate ${toString cfg.nginx.clientCaFile};
          ssl_verify_client ${if cfg.nginx.mtls.require then "on" else "optional"};
        '';
        locations."/" = {
          proxyPass = "http://${here}:${toString port}";
          extraConfig = ''
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
            client_max_body_size 0;
            proxy_read_timeout ${cfg.nginx.proxyTimeout};
            proxy_send_timeout ${cfg.nginx.proxyTimeout};
          ''
          # Set even where nobody is asked for a certificate: a client's own header must not come through.
          + lib.optionalString (proxyHeader != null) ''
            proxy_set_header ${proxyHeader} $ssl_client_verify;
          ''
          + lib.optionalString (subjectHeader != null) ''
            proxy_set_header ${subjectHeader} $ssl_client_s_dn;
          '';
        };
      };
    };

    networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall (
      if cfg.nginx.enable then [ 80 443 ] else [ port ]
    );
  };
}
