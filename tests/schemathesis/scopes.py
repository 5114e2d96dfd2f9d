"""A check of schemathesis: no operation succeeds for an identity that lacks its scope."""

import os

import schemathesis

SCOPES = os.environ.get("NIKS3_TEST_SCOPES", "").split()


@schemathesis.check
def scope_is_asked_for(ctx, response, case):
    needed = case.operation.definition.raw.get("x-required-scope")
    if needed is None or needed in SCOPES or "admin" in SCOPES:
        return
    if response.status_code < 400:
        raise AssertionError(f"{response.status_code} without the scope {needed}, with {SCOPES}")
