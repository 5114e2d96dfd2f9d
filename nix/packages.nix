# The three programs, a package each.
{ pkgs, lib }:
let
  build =
    name: description: extra:
    pkgs.callPackage ./package.nix (
      {
        inherit name description;
      }
      // extra
    );
in
{
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
  niks3-action = build "niks3-action" "GitHub Action that pushes what a job builds" { };
}
