#!/usr/bin/env bash
# Part: python-jose 3.5.0 (PyPI)
# Whether python-jose takes a token depends on the order of the issuer's keys.
#
# One would guess that it looks for the key that the token's `kid` names. It tries the keys one after the other, and the first
# one of another kind than the token's algorithm ends the search with an error: an EC key in front of the RSA key.
# An issuer that adds an EC key to its set in front, in preparation of a change, breaks all verifiers of this kind at once.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install python-jose==3.5.0 cryptography==50.0.2
version "python-jose 3.5.0"
guess "accepted each time"
result=$(timeout 60 python3 - <<'END'
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jose import jwk, jwt
def private(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
def public(key, algorithm, kid):
    fields = jwk.construct(private(key), algorithm).public_key().to_dict()
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in fields.items()} | {"kid": kid}
signer, other = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
token = jwt.encode({"aud": "cache"}, private(signer), algorithm="RS256", headers={"kid": "rsa"})
keys = {"rsa": public(signer, "RS256", "rsa"), "ec": public(other, "ES256", "ec")}
for order in (["rsa"], ["rsa", "ec"], ["ec", "rsa"]):
    try:
        jwt.decode(token, {"keys": [keys[name] for name in order]}, algorithms=["RS256", "ES256"], audience="cache")
        print(*order, "accepted")
    except Exception as error:
        print(*order, f"{type(error).__name__}: {error}")
END
)
seen "$result"
holds "$result" = "rsa accepted
rsa ec accepted
ec rsa JWKError: Incorrect key type. Expected: 'RSA', Received: EC"
