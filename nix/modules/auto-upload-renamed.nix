# Options of `services.niks3-auto-upload` by the names that the original niks3 has for them.
{ lib }:
let
  at = path: [ "services" "niks3-auto-upload" ] ++ path;
  renamed = from: to: lib.mkRenamedOptionModule (at from) (at to);
in
[
  (renamed [ "mtls" "clientCert" ] [ "clientCertFile" ])
  (renamed [ "mtls" "clientKey" ] [ "clientKeyFile" ])
  (renamed [ "mtls" "caCert" ] [ "caCertFile" ])
]
