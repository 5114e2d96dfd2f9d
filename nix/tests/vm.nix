{ pkgs, self }: pkgs.testers.runNixOSTest { name = "niks3"; nodes = { }; testScript = ""; }
