# From the options of `services.niks3.oidc` to the file that the server reads.
{ lib }:
let
  who =
    bound:
    lib.optionalAttrs (bound.boundClaims != { }) { bound_claims = bound.boundClaims; }
    // lib.optionalAttrs (bound.boundSubject != [ ]) { bound_subject = bound.boundSubject; };
  # As the original niks3 calls it.
  scope = name: if name == "write" then "push" else name;
  rule =
    one:
    who one
    // {
      scopes = map scope one.scopes;
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
    // lib.optionalAttrs (one.scopes != [ ]) { scopes = map scope one.scopes; }
    // lib.optionalAttrs (one.rules != [ ]) { rules = map rule one.rules; };
in
oidc: {
  allow_insecure = oidc.allowInsecure;
  providers = lib.mapAttrs (_: provider) oidc.providers;
}
