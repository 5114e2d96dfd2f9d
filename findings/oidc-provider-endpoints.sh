#!/usr/bin/env bash
# Part: oidc-provider 9.13.3 (npm)
# The discovery document of oidc-provider names endpoints by the Host header of the request, not by the issuer.
#
# One would guess that jwks_uri begins with the issuer's URL, with which the provider was made. It has the host and the scheme of
# whoever asks: behind a proxy that ends TLS, an https issuer gives http URLs; asked by a name inside the cluster, names of the cluster.
# `issuer` in the same document is right, so checking that says nothing.
# A verifier that fetches discovery by another name than its tokens' issuer, or caches it, ends up with keys that it cannot reach
# or that come without TLS.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install oidc-provider@9.13.3
version "oidc-provider 9.13.3"
guess "https://issuer.example.com/jwks each time"
result=$(run_node 2>/dev/null <<'END'
import http from "node:http";
import Provider from "oidc-provider";
const provider = new Provider("https://issuer.example.com", { clients: [] });
const server = http.createServer(provider.callback()).listen(0, "127.0.0.1", () => {
  const ask = (host) => new Promise((resolve) => http.get({ port: server.address().port, host: "127.0.0.1", headers: { host },
    path: "/.well-known/openid-configuration" }, async (answer) => {
    const document = JSON.parse((await answer.toArray()).join(""));
    console.log(`asked at ${host}: issuer ${document.issuer}, jwks_uri ${document.jwks_uri}`);
    resolve();
  }));
  ask("issuer.example.com").then(() => ask("oidc.internal:3000")).then(() => process.exit());
});
END
)
seen "$result"
holds "$result" = "asked at issuer.example.com: issuer https://issuer.example.com, jwks_uri http://issuer.example.com/jwks
asked at oidc.internal:3000: issuer https://issuer.example.com, jwks_uri http://oidc.internal:3000/jwks"
