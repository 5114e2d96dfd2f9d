#!/usr/bin/env bash
# Part: act 0.2.89
# act accepts `permissions: id-token: write` and then gives neither a token endpoint nor a warning.
#
# One would guess an error about the permission, or the two ACTIONS_ID_TOKEN_REQUEST variables. The workflow runs, and both
# are empty, as are the ids of repository and owner that rules on such tokens match.
# An action that logs in by OIDC looks as if its user forgot the permission. Its message should not claim that.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "act 0.2.89"
guess "a warning, or a URL"
said=$(run_act -P ubuntu-24.04=-self-hosted <<'END'
on: push
permissions: { id-token: write }
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - run: 'echo "url=[$ACTIONS_ID_TOKEN_REQUEST_URL] repository=[$GITHUB_REPOSITORY_ID] owner=[$GITHUB_REPOSITORY_OWNER_ID]"'
END
)
result="$(grep -o 'url=\[[^$]*\]$' <<<"$said"); lines about id-token: $(grep -ic 'id-token' <<<"$said" || true)"
seen "$result"
holds "$result" = "url=[] repository=[] owner=[]; lines about id-token: 0"
