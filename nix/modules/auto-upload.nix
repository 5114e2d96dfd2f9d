# `services.niks3-auto-upload`: what this machine builds is pushed.
self:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.niks3-auto-upload;
  unit = import ./unit.nix { inherit lib; };
  inherit (unit) each load option secret;
  certFile = if cfg.mtls.enable then cfg.clientCertFile else null;
  keyFile = if cfg.mtls.enable then cfg.clientKeyFile else null;
  # Seconds, of which 0 means never.
  idleExit =
    if cfg.idleExitTimeout == null then
      cfg.idleExit
    else if cfg.idleExitTimeout == 0 then
      null
    else
      "${toString cfg.idleExitTimeout}s";
  queue = "/var/lib/niks3-auto-upload";
  # Nix runs the hook without arguments, and stops building when it fails.
  hook = pkgs.writeShellScript "niks3-post-build-hook" ''
    ${lib.getExe' cfg.package "niks3"} hook send --queue ${queue} --socket ${cfg.socketPath} || true
  '';
in
{
  options.services.niks3-auto-upload = import ./auto-upload-options.nix { inherit lib pkgs self; };

  imports = import ./auto-upload-renamed.nix { inherit lib; };

  config = lib.mkIf cfg.enable {
    warnings = lib.optional (cfg.upstreamCacheKeyNames != null)
      "services.niks3-auto-upload.upstreamCacheKeyNames is obsolete: what was substituted is never pushed";

    assertions = [
      {
        assertion = (certFile == null) == (keyFile == null);
        message = "services.niks3-auto-upload: clientCertFile and clientKeyFile belong together";
      }
      {
        assertion = cfg.authTokenFile != null || certFile != null;
        message = "services.niks3-auto-upload: give authTokenFile or clientCertFile";
      }
    ];

    nix.settings.post-build-hook = "${hook}";

    systemd.sockets.niks3-auto-upload = {
      description = "Wakes who pushes what Nix builds";
      wantedBy = [ "sockets.target" ];
      socketConfig = {
        ListenStream = cfg.socketPath;
        SocketMode = if cfg.socketGroup == null then "0600" else "0660";
      }
      // lib.optionalAttrs (cfg.socketGroup != null) { SocketGroup = cfg.socketGroup; };
    };

    systemd.services.niks3-auto-upload = {
      description = "Push what Nix builds";
      documentation = [ "man:niks3-hook-serve(1)" ];
      requires = [ "niks3-auto-upload.socket" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "nix-daemon.socket"
      ];
      # What a boot before this one left in the queue waits for no build.
      wantedBy = [ "multi-user.target" ];
      path = [ config.nix.package ];
      environment = {
        NIKS3_SERVER_URL = cfg.serverUrl;
        # Through the daemon: the store itself is read-only here.
        NIX_REMOTE = "daemon";
        HOME = "/var/cache/niks3-auto-upload";
      };
      # Root, as the hook is whose queue it empties; with little of what root can do.
      serviceConfig = unit.hardened // {
        ExecStart = lib.concatStringsSep " " (
          [ (lib.getExe' cfg.package "niks3") "hook" "serve" "--queue" queue ]
          ++ option "idle-exit" idleExit
          ++ option "batch-size" cfg.batchSize
          ++ option "max-concurrent-uploads" cfg.maxConcurrentUploads
          ++ lib.optional cfg.verifyS3Integrity "--verify-s3-integrity"
          ++ lib.optional cfg.debug "-vv"
          ++ each "skip-upstream" cfg.skipUpstream
          ++ lib.optional (cfg.skipUpstream == [ ]) "--no-skip-upstream"
          ++ secret "auth-token-path" "auth-token" cfg.authTokenFile
          ++ option "client-cert" certFile
          ++ secret "client-key" "client-key" keyFile
          ++ option "ca-cert" cfg.caCertFile
        );
        LoadCredential = load "auth-token" cfg.authTokenFile ++ load "client-key" keyFile;
        StateDirectory = "niks3-auto-upload";
        StateDirectoryMode = "0700";
        CacheDirectory = "niks3-auto-upload";
        Restart = "on-failure";
        RestartSec = 10;
        TimeoutStopSec = 60;
      };
    };
  };
}
