# The three programs, a package each.
{
  pkgs,
  lib,
  # Short name and date of the commit, for --version.
  commit ? "",
}:
let
  build =
    name: description: extra:
    pkgs.callPackage ./package.nix (
      {
        inherit name description commit;
      }
      // extra
    );
in
rec {
  niks3 = build "niks3" "Push closures into a Nix binary cache in an S3 bucket" {
    documentation = ''
      $out/bin/niks3 manual pages
      installManPage pages/*.1
      for shell in bash fish zsh; do
        installShellCompletion --cmd niks3 --$shell <($out/bin/niks3 completions $shell)
      done
    '';
  };
  niks3-server = build "niks3-server" "Server of a Nix binary cache in an S3 bucket" {
    documentation = ''
      $out/bin/niks3-server --generate man > niks3-server.1
      installManPage niks3-server.1
      for shell in bash fish zsh; do
        installShellCompletion --cmd niks3-server --$shell <($out/bin/niks3-server --generate $shell)
      done
    '';
  };
  # The hook of machines that have that of the original: `niks3-hook send` finds the service by the socket.
  niks3-hook = pkgs.callPackage ./hook.nix { inherit niks3; };
  niks3-action = build "niks3-action" "GitHub Action that pushes what a job builds" { };
}
