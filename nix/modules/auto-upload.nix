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
  inherit (lib) mkEnableOption mkOption types;
  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
  socket = "/run/niks3-auto-upload.socket";
  queue = "/var/lib/niks3-auto-upload";
  # Nix runs the hook without arguments, and stops building when it fails.
  hook = pkgs.writeShellScript "niks3-post-build-hook" ''
    ${lib.getExe cfg.package} hook send --queue ${queue} --socket ${socket} || true
  '';
in
{
  options.services.niks3-auto-upload = {
    enable = mkEnableOption "pushing everything that Nix builds on this machine to a niks3 server";
    package = mkOption {
      type = types.package;
      default = self.packages.${pkgs.stdenv.hostPlatform.system}.niks3;
      description = "The command line.";
    };
    serverUrl = mkOption {
      type = types.str;
      example = "https://niks3.example.com";
      description = "Address of the server.";
    };
    authTokenFile = optional types.path "File with the token.";
    clientCertFile = optional types.path "Client certificate, in PEM form.";
    clientKeyFile = optional types.path "Its key, in PEM form.";
    caCertFile = optional types.path "Authorities to trust besides those of the system, in PEM form.";
    skipUpstream = mkOption {
      type = types.listOf types.str;
      default = [ "https://cache.nixos.org" ];
      example = [
        "https://cache.nixos.org"
        "https://example.cachix.org#example.cachix.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="
      ];
      description = ''
        Caches whose paths are left out, with the public keys that sign these after `#`, separated by commas. The one of
        cache.nixos.org is known. An empty list pushes everything.
      '';
    };
    idleExit = mkOption {
      type = types.str;
      default = "5m";
      description = "The service ends when nothing was built for this long; the next build starts it again.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = (cfg.clientCertFile == null) == (cfg.clientKeyFile == null);
        message = "services.niks3-auto-upload: clientCertFile and clientKeyFile belong together";
      }
      {
        assertion = cfg.authTokenFile != null || cfg.clientCertFile != null;
        message = "services.niks3-auto-upload: give authTokenFile or clientCertFile";
      }
    ];

    nix.settings.post-build-hook = "${hook}";

    systemd.sockets.niks3-auto-upload = {
      description = "Wakes who pushes what Nix builds";
      wantedBy = [ "sockets.target" ];
      socketConfig = {
        ListenStream = socket;
        SocketMode = "0600";
      };
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
          [ (lib.getExe cfg.package) "hook" "serve" "--queue" queue ]
          ++ option "idle-exit" cfg.idleExit
          ++ each "skip-upstream" cfg.skipUpstream
          ++ lib.optional (cfg.skipUpstream == [ ]) "--no-skip-upstream"
          ++ secret "auth-token-path" "auth-token" cfg.authTokenFile
          ++ option "client-cert" cfg.clientCertFile
          ++ secret "client-key" "client-key" cfg.clientKeyFile
          ++ option "ca-cert" cfg.caCertFile
        );
        LoadCredential = load "auth-token" cfg.authTokenFile ++ load "client-key" cfg.clientKeyFile;
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
