#!/usr/bin/env bash
# Part: nimbus-jose-jwt 10.10 (Maven)
# A claim that has to be 1 is rejected by nimbus-jose-jwt when it is 1.
#
# One would guess that a number in the token is compared with a number in the rule. The verifier uses equals(), the token has a Long, and `1` in
# Java is an Integer, which never equals a Long. A list fails in the same way if the rule was written as an array.
# A rule for run_attempt or repository_id refuses each good token, with a message that names neither type.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "nimbus-jose-jwt 10.10"
guess "accepted each time"
result=$(run_java com.nimbusds:nimbus-jose-jwt:10.10 <<'END'
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import java.util.List;
import java.util.Set;

public class Probe {
    public static void main(String[] arguments) throws Exception {
        JWTClaimsSet token = JWTClaimsSet.parse("{\"run_attempt\": 1, \"groups\": [\"ci\"]}");
        check("run_attempt", 1, token);
        check("run_attempt", 1L, token);
        check("groups", new String[] {"ci"}, token);
        check("groups", List.of("ci"), token);
    }

    static void check(String name, Object value, JWTClaimsSet token) {
        JWTClaimsSet rule = new JWTClaimsSet.Builder().claim(name, value).build();
        String result = "accepted";
        try {
            new DefaultJWTClaimsVerifier<>(rule, Set.of()).verify(token, null);
        } catch (Exception error) {
            result = error.getMessage();
        }
        System.out.println(name + " as " + value.getClass().getSimpleName() + ": " + result);
    }
}
END
)
seen "$result"
holds "$result" = "run_attempt as Integer: JWT run_attempt claim value rejected
run_attempt as Long: accepted
groups as String[]: JWT groups claim value rejected
groups as List12: accepted"
