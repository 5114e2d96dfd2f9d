#!/usr/bin/env bash
# Part: act 0.2.89
# A number above 2147483647 in an expression makes a workflow invalid for act.
#
# One would guess that it is a number like others: GitHub documents any number that JSON has, and numbers are doubles there. The same number
# as the result of an expression is no trouble, only the literal.
# A limit of bytes, such as 4294967296 for 4 GiB, has the whole workflow refused, with messages about "run" and "steps" that are right.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "act v0.2.89"
guess "true three times"
result=
for expression in "fromJSON('4294967296') > 2147483647" "fromJSON('4294967296') > 2147483648" "fromJSON('4294967296') > fromJSON('2147483648')"; do
    said=$(run_act -P ubuntu-latest=-self-hosted <<END || true
on: push
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - run: echo "larger \${{ $expression }}"
END
)
    result+="$expression: $(grep -oE '\| larger .*|value out of range' <<<"$said" | head -1)
"
done
result=${result%?}
seen "$result"
holds "$result" = "fromJSON('4294967296') > 2147483647: | larger true
fromJSON('4294967296') > 2147483648: value out of range
fromJSON('4294967296') > fromJSON('2147483648'): | larger true"
