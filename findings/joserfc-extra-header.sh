#!/usr/bin/env bash
# Part: joserfc 1.8.0 (PyPI)
# joserfc refuses a good token because its header has a parameter that joserfc does not know.
#
# One would guess that it is ignored: RFC 7515 says that parameters which are not understood must be, unless `crit` names them. PyJWT
# verifies the same token.
# Issuers add parameters of their own (load balancers put the client and the expiry there). The tokens of such an issuer fail, and
# all tokens fail on the day on which an issuer adds one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install joserfc==1.8.0 PyJWT==2.15.1 cryptography==50.0.2
version "joserfc 1.8.0; beside it PyJWT 2.15.1"
guess "all four are verified"
result=$(timeout 60 python3 - <<'END'
import jwt as pyjwt
from joserfc import jwt
from joserfc.jwk import ECKey
key = ECKey.generate_key("P-256")
for header in ({}, {"client": "ci"}):
    token = pyjwt.encode({"sub": "ci"}, key.as_pem(private=True), algorithm="ES256", headers=header)
    print("PyJWT", header, pyjwt.decode(token, key.as_pem(private=False), algorithms=["ES256"])["sub"])
    try:
        print("joserfc", header, jwt.decode(token, key).claims["sub"])
    except Exception as error:
        print("joserfc", header, f"{type(error).__name__}: {error}")
END
)
seen "$result"
holds "$result" = "PyJWT {} ci
joserfc {} ci
PyJWT {'client': 'ci'} ci
joserfc {'client': 'ci'} UnsupportedHeaderError: unsupported_header: Unsupported {'client'} in header"
