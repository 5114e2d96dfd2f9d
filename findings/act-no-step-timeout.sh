#!/usr/bin/env bash
# Part: act 0.2.89
# act does not end a step at its timeout-minutes when it runs on the host.
#
# One would guess that the step is ended and fails after one minute, as on GitHub. It runs to its end, 70 s, and succeeds.
# A test with act that an action's hanging upload is cut off by the workflow passes without being cut off, or hangs.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "act 0.2.89"
guess "the step fails after 60 s"
status=0
said=$(run_act -P ubuntu-24.04=-self-hosted <<'END'
on: push
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - run: sleep 70; echo done after $SECONDS s
        timeout-minutes: 1
END
) || status=$?
result="$(grep -o 'done after 7[0-9] s' <<<"$said" || true), exit status $status"
seen "$result"
[[ $result == "done after 7"*", exit status 0" ]] && holds 1 || holds ""
