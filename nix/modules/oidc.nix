# From the options of `services.niks3.oidc` to the file that the server reads.
{ lib }:
let
  who =
    bound:
    lib.optionalAttrs (bound.boundClaims != { }) { bound_claims = bound.boundClaims; }
    // lib.optionalAttrs (bound.boundSubject != [ ]) { bound_subject = bound.boundSubject; };
  rule =
    one:
    who one
    // {
      inherit (one) scopes;
    }
    # An empty list is a word, too: no pin at all.
    // lib.optionalAttrs (one.pins != null) { inherit (one) pins; }
    // lib.optionalAttrs (one.signingKeys != null) { signing_keys = one.signingKeys; };
  provider =
    one:
    {
      inherit (one) issuer audience;
    }
    // who one
    // lib.optionalAttrs (one.rules != [ ]) { rules = map rule one.rules; };
in
oidc: {
  allow_insecure = oidc.allowInsecure;
  providers = lib.mapAttrs (_: provider) oidc.providers;
}
