#!/usr/bin/env bash
# Part: lestrrat-go/jwx 3.4.0 (Go)
# The jwx module uses no key of a key set without an `alg`, however well the key fits.
#
# One would guess that the token is verified: `alg` of a key is optional in RFC 7517, the `kid` names the key, and its type leaves no doubt. The
# token is refused until WithInferAlgorithmFromKey(true) is given.
# Large issuers have key sets without it. All of their tokens are refused, with a message that does not name the missing field.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "github.com/lestrrat-go/jwx/v3 v3.4.0"
guess "verified each time"
result=$(run_go github.com/lestrrat-go/jwx/v3@v3.4.0 <<'END'
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

func main() {
	secret, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	private, _ := jwk.Import(secret)
	private.Set("kid", "1")
	token, _ := jwt.NewBuilder().Subject("ci").Build()
	raw, err := jwt.Sign(token, jwt.WithKey(jwa.ES256(), private))
	if err != nil {
		panic(err)
	}
	for _, algorithm := range []bool{true, false} {
		public, _ := jwk.PublicKeyOf(private)
		if algorithm {
			public.Set("alg", "ES256")
		}
		set := jwk.NewSet()
		set.AddKey(public)
		for _, infer := range []bool{false, true} {
			_, err := jwt.Parse(raw, jwt.WithKeySet(set, jws.WithInferAlgorithmFromKey(infer)))
			fmt.Printf("alg in the key %v, inferred %v: verified %v\n", algorithm, infer, err == nil)
			if err != nil {
				println(err.Error())
			}
		}
	}
}
END
)
seen "$result"
holds "$result" = "alg in the key true, inferred false: verified true
alg in the key true, inferred true: verified true
alg in the key false, inferred false: verified false
alg in the key false, inferred true: verified true"
