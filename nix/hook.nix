# `niks3-hook`, as the original niks3 calls its second program, with the socket as an argument of the package.
{
  lib,
  runCommand,
  makeWrapper,
  niks3,
  postBuildHookSocketPath ? "/run/niks3/upload-to-cache.sock",
}:
runCommand "niks3-hook-${niks3.version}"
  {
    pname = "niks3-hook";
    inherit (niks3) version;
    nativeBuildInputs = [ makeWrapper ];
    meta = niks3.meta // {
      description = "Push what Nix builds, by a post-build hook";
      mainProgram = "niks3-hook";
    };
  }
  ''
    mkdir -p $out/bin
    ln -s ${lib.getExe niks3} $out/bin/niks3
    makeWrapper ${lib.getExe niks3} $out/bin/niks3-hook --argv0 niks3-hook \
      --set-default NIKS3_HOOK_SOCKET ${postBuildHookSocketPath}
  ''
