# A container image of the server; `docker load < result`.
{ pkgs, built }:
pkgs.dockerTools.buildLayeredImage {
  name = "niks3-server";
  tag = built.niks3-server.version;
  contents = [
    built.niks3-server
    built.niks3
    pkgs.dockerTools.caCertificates
  ];
  extraCommands = "mkdir -m 1777 tmp data";
  config = {
    Entrypoint = [ "/bin/niks3-server" ];
    Env = [
      "NIKS3_HTTP_ADDR=0.0.0.0:5751"
      "NIKS3_DATA_DIR=/data"
    ];
    ExposedPorts."5751/tcp" = { };
    Volumes."/data" = { };
    User = "65532:65532";
    WorkingDir = "/data";
  };
}
