# The options of `services.niks3-auto-upload`, for NixOS and nix-darwin.
{
  lib,
  pkgs,
  self,
}:
let
  inherit (lib) mkEnableOption mkOption types;
  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
in
{
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
  socketPath = mkOption {
    type = types.str;
    default = "/run/niks3-auto-upload.socket";
    description = "Socket that wakes the service.";
  };
  socketGroup = optional types.str "Group that may wake the service, and send it paths, besides root.";
  batchSize = optional types.ints.positive "Most paths of one push.";
  maxConcurrentUploads = optional types.ints.unsigned "Uploads at the same time.";
  verifyS3Integrity = mkOption {
    type = types.bool;
    default = false;
    description = "Send again what the server believes to be in the bucket and is not.";
  };
  debug = mkOption {
    type = types.bool;
    default = false;
    description = "Log every step.";
  };
  idleExitTimeout = optional types.ints.unsigned "`idleExit` in seconds, as the original niks3 has it; 0 means that the service never ends.";
  upstreamCacheKeyNames = optional (types.listOf types.str) ''
    As the original niks3 has it. What was substituted is never pushed here, whoever has signed it, so this says nothing.
  '';
  mtls.enable = mkOption {
    type = types.bool;
    default = true;
    description = "Show the client certificate, if `clientCertFile` is given.";
  };
  idleExit = mkOption {
    type = types.str;
    default = "5m";
    description = "The service ends when nothing was built for this long; the next build starts it again.";
  };
}
