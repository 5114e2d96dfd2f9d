# One program of the workspace; its tests need services and run in continuous integration.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  name,
  description,
  documentation ? "",
  commit ? "",
}:
let
  manifest = lib.importTOML ../Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = name;
  inherit (manifest.workspace.package) version;
  src = lib.cleanSource ../.;
  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = [
    "--package"
    name
  ];
  doCheck = false;
  # The sources of a flake are no checkout.
  env.NIKS3_BUILD_VERSION = "${manifest.workspace.package.version}${lib.optionalString (commit != "") " (${commit})"}";
  nativeBuildInputs = [ installShellFiles ];
  # A program for another system cannot say here what its options are.
  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) documentation;
  meta = {
    inherit description;
    homepage = "https://github.com/niks3/push";
    license = lib.licenses.mit;
    mainProgram = name;
    platforms = lib.platforms.unix;
  };
}
