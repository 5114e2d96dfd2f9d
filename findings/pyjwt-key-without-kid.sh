#!/usr/bin/env bash
# Part: PyJWT 2.15.1 (PyPI)
# PyJWT's key client uses no key without a `kid`, not even the only key of an issuer.
#
# One would guess that the one key in the set verifies a token that names no key: `kid` is optional in both. PyJWKClient leaves keys
# without it out and says "The JWKS endpoint did not contain any signing keys", which sounds as if the set was empty.
# A small issuer whose tokens other libraries verify cannot be used, and the message sends one to the wrong place.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install PyJWT==2.15.1 cryptography==50.0.2
version "PyJWT 2.15.1"
guess "the token is verified in both cases"
result=$(timeout 60 python3 - <<'END'
import http.server, json, threading, time
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
private = ec.generate_private_key(ec.SECP256R1())
key = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(private.public_key()))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"keys": [key]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for name in (None, "a"):
    key.update({"kid": name} if name else {})
    token = jwt.encode({"sub": "ci", "exp": time.time() + 60}, private, algorithm="ES256", headers={"kid": name} if name else {})
    try:
        client = jwt.PyJWKClient(f"http://127.0.0.1:{server.server_port}/")
        print("kid:", name, "->", jwt.decode(token, client.get_signing_key_from_jwt(token), algorithms=["ES256"])["sub"])
    except jwt.PyJWKClientError as error:
        print("kid:", name, "->", error)
END
)
seen "$result"
holds "$result" = "kid: None -> The JWKS endpoint did not contain any signing keys
kid: a -> ci"
