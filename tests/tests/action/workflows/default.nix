{ fail ? false }:
derivation {
  name = "app";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-ec" (if fail then "exit 1" else "echo app > $out") ];
}
