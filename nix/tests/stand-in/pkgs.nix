# A small stand-in for nixpkgs' packages: what would be built is a derivation that nobody
# builds, and keeps what it was asked for.
lib: system:
let
  package =
    name: attributes:
    derivation {
      inherit name system;
      builder = "/bin/sh";
    }
    // {
      pname = name;
      outputSpecified = true;
      outPath = "/nix/store/00000000000000000000000000000000-${name}";
      meta.mainProgram = name;
    }
    // attributes;
  written = name: text: package name { inherit text; };
  platform = { inherit system; };
  make = static: rec {
    inherit lib;
    stdenv = {
      hostPlatform = platform;
      buildPlatform = platform // {
        canExecute = _: true;
      };
      cc = package "cc" { };
    };
    callPackage =
      file: given:
      let
        f = import file;
        known = {
          inherit lib stdenv;
          runCommand = name: attributes: text: package name (attributes // { inherit text; });
          makeWrapper = package "make-wrapper" { };
          installShellFiles = package "install-shell-files" { };
          rustPlatform.buildRustPackage =
            arguments:
            assert builtins.pathExists arguments.src;
            assert builtins.pathExists arguments.cargoLock.lockFile;
            package (arguments.pname + lib.optionalString static "-static") {
              inherit arguments;
              inherit (arguments) meta pname version;
            };
        };
      in
      f (builtins.intersectAttrs (builtins.functionArgs f) known // given);
    pkgsStatic = make true;
    mkShell = package "shell";
    writeText = written;
    writeShellScript = written;
    writeShellApplication = arguments: package arguments.name arguments;
    nixfmt-tree = package "nixfmt-tree" { };
    dockerTools = {
      buildLayeredImage = arguments: package "${arguments.name}.tar.gz" arguments;
      caCertificates = package "ca-certificates" { };
    };
    testers.runNixOSTest = arguments: package "vm-test-run-${arguments.name}" arguments;
  }
  // lib.genAttrs [
    "awscli2" "cargo" "clippy" "curl" "dex" "garage" "minio" "minio-client" "nix" "nodejs" "openssl" "postgresql" "python3"
    "rustc" "rustfmt" "watchexec" "xz" "zstd"
  ] (name: package name { });
in
make false
