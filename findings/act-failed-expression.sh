#!/usr/bin/env bash
# Part: act 0.2.89
# A step whose expression cannot be evaluated succeeds in act, and nothing is run.
#
# One would guess that the step fails, as on GitHub, where fromJSON() of text that is no JSON is an error. act writes a line to its log and
# takes the script for an empty one: the step is a success, and so are the job and act.
# A check that reads the output of an earlier step passes on the developer's machine because it is broken.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "act v0.2.89"
guess "the step fails, the last one is not run, exit status 1"
result=$(run_act -P ubuntu-latest=-self-hosted <<'END' || echo "exit status $?"
on: push
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - run: |
          echo "is ${{ fromJSON('not JSON').ok }}"
          exit 3
      - run: echo "the step before was a ${{ job.status }}"
END
)
result=$(grep -E '^\[[^]]*\] *(\| |.*Job |Unable)|^exit status' <<<"$result" | sed -E 's/^\[[^]]*\] *//; s/^[^a-zA-Z]*(Job )/\1/; s/^Unable to interpolate.*/Unable to interpolate/' | uniq)
seen "$result"
holds "$(grep -v Unable <<<"$result")" = "| the step before was a success
Job succeeded"
