# nix-darwin: `services.niks3-auto-upload` pushes what Nix builds, by a post-build hook, and `services.niks3-watch-store` by
# looking into the store. Both are daemons of launchd.
self:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  hook = config.services.niks3-auto-upload;
  watch = config.services.niks3-watch-store;
  queueOf = name: "/var/lib/niks3-${name}";

  option = name: value: lib.optionals (value != null) [ "--${name}" (toString value) ];
  arguments =
    cfg:
    option "batch-size" cfg.batchSize
    ++ option "max-concurrent-uploads" cfg.maxConcurrentUploads
    ++ lib.optional cfg.verifyS3Integrity "--verify-s3-integrity"
    ++ lib.optional cfg.debug "-vv"
    ++ lib.concatMap (option "skip-upstream") cfg.skipUpstream
    ++ lib.optional (cfg.skipUpstream == [ ]) "--no-skip-upstream"
    ++ option "auth-token-path" cfg.authTokenFile
    ++ option "client-cert" (if cfg.mtls.enable then cfg.clientCertFile else null)
    ++ option "client-key" (if cfg.mtls.enable then cfg.clientKeyFile else null)
    ++ option "ca-cert" cfg.caCertFile;

  quoted = words: lib.concatStringsSep " " (map (word: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] word}'") words);

  daemon = name: cfg: command: {
    serviceConfig = {
      Label = "org.niks3.${name}";
      # The volume with the store may be mounted after launchd has started its daemons.
      ProgramArguments = [
        "/bin/sh"
        "-c"
        "/bin/wait4path /nix/store && exec ${
          quoted ([ (lib.getExe' cfg.package "niks3") ] ++ command ++ [ "--queue" (queueOf name) ] ++ arguments cfg)
        }"
      ];
      EnvironmentVariables = {
        NIKS3_SERVER_URL = cfg.serverUrl;
        NIX_REMOTE = "daemon";
        PATH = "${config.nix.package}/bin:/usr/bin:/bin:/usr/sbin:/sbin";
      };
      # There is no socket for it: it waits for the queue itself.
      KeepAlive = true;
      RunAtLoad = true;
      ThrottleInterval = 10;
      ProcessType = "Background";
      StandardErrorPath = "/var/log/niks3-${name}.log";
    };
  };

  assertions = name: cfg: [
    {
      assertion = cfg.authTokenFile != null || cfg.clientCertFile != null;
      message = "services.niks3-${name}: give authTokenFile or clientCertFile";
    }
    {
      assertion = (cfg.clientCertFile == null) == (cfg.clientKeyFile == null);
      message = "services.niks3-${name}: clientCertFile and clientKeyFile belong together";
    }
  ];

  # Nix runs the hook without arguments, and stops building when it fails.
  script = pkgs.writeShellScript "niks3-post-build-hook" ''
    ${lib.getExe' hook.package "niks3"} hook send --queue ${queueOf "auto-upload"} || true
  '';
in
{
  imports = import ./auto-upload-renamed.nix { inherit lib; };

  options.services = lib.genAttrs [ "niks3-auto-upload" "niks3-watch-store" ] (
    _: import ./auto-upload-options.nix { inherit lib pkgs self; }
  );

  config = lib.mkMerge [
    (lib.mkIf hook.enable {
      assertions = assertions "auto-upload" hook;
      nix.settings.post-build-hook = "${script}";
      launchd.daemons.niks3-auto-upload = daemon "auto-upload" hook [ "hook" "serve" ];
    })
    (lib.mkIf watch.enable {
      assertions = assertions "watch-store" watch;
      launchd.daemons.niks3-watch-store = daemon "watch-store" watch [ "watch-store" ];
    })
  ];
}
