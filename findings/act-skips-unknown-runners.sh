#!/usr/bin/env bash
# Part: act 0.2.89
# act skips a job whose runner it has no image for, and exits with 0.
#
# One would guess an error: a job that was asked for was not run. act prints a line about an unsupported platform and
# succeeds, so a test that runs a workflow with act passes when `runs-on` gets a new name.
# Tests of an action have to look for the output of a step, not at the exit status alone.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "act 0.2.89"
guess "a non-zero exit status"
status=0
said=$(run_act -P ubuntu-24.04=-self-hosted <<'END'
on: push
jobs:
  build:
    runs-on: ubuntu-26.04
    steps: [{ run: "exit 1" }]
END
) || status=$?
result="$(grep -o 'Skipping unsupported platform' <<<"$said"), exit status $status"
seen "$result"
holds "$result" = "Skipping unsupported platform, exit status 0"
