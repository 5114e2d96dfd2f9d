{
  description = "A Nix binary cache in an S3 bucket, with garbage collection";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      date = self.lastModifiedDate or "";
      commit = lib.optionalString (
        self ? shortRev
      ) "${self.shortRev} ${lib.concatStringsSep "-" (builtins.match "(.{4})(.{2})(.{2}).*" date)}";
      linux = lib.filter (lib.hasSuffix "-linux") systems;
      eachOf = names: make: lib.genAttrs names (system: make nixpkgs.legacyPackages.${system});
      modules = {
        niks3 = import ./nix/modules/server.nix self;
        niks3-auto-upload = import ./nix/modules/auto-upload.nix self;
      };
    in
    {
      packages = eachOf systems (
        pkgs:
        let
          built = import ./nix/packages.nix { inherit pkgs lib commit; };
        in
        built
        // {
          default = built.niks3;
        }
        // lib.optionalAttrs (builtins.elem pkgs.stdenv.hostPlatform.system linux) (
          import ./nix/static.nix { inherit pkgs lib commit; }
          // {
            image = import ./nix/image.nix { inherit pkgs built; };
          }
        )
      );

      overlays.default = final: _: import ./nix/packages.nix {
        pkgs = final;
        inherit (final) lib;
      };

      nixosModules = modules // {
        default.imports = builtins.attrValues modules;
      };

      darwinModules =
        let
          module = import ./nix/modules/darwin.nix self;
        in
        {
          niks3-auto-upload = module;
          default = module;
        };

      devShells = eachOf systems (pkgs: {
        default = import ./nix/shell.nix { inherit pkgs; };
      });

      apps = eachOf systems (pkgs: {
        dev = {
          type = "app";
          program = "${import ./nix/dev.nix { inherit pkgs; }}/bin/niks3-dev";
          meta.description = "The development environment: server, PostgreSQL and Garage, restarted on changes";
        };
      });

      checks =
        eachOf linux (pkgs: {
          vm = import ./nix/tests/vm.nix { inherit pkgs self; };
          inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) niks3 niks3-server niks3-action;
        });

      formatter = eachOf systems (pkgs: pkgs.nixfmt-tree);
    };
}
