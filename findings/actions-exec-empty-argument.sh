#!/usr/bin/env bash
# Part: @actions/exec 3.0.0 (npm)
# An empty argument in double quotes vanishes from a command line of @actions/exec, and single quotes quote nothing.
#
# One would guess that a quoted "" is an argument, since double quotes are understood, or that '' is. The first is dropped and what follows
# moves up; the second is an argument of two quotation marks.
# `nix build --option substituters "" --refresh` sets the substituters to "--refresh". A list of arguments is passed as it is.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @actions/exec@3.0.0
version "@actions/exec 3.0.0"
guess "[a][][b c] each time"
result=$(run_node <<'END'
import { getExecOutput } from "@actions/exec";
for (const [line, list] of [['printf [%s] a "" "b c"'], ["printf [%s] a '' 'b c'"], ["printf", ["[%s]", "a", "", "b c"]]]) {
  const { stdout } = await getExecOutput(line, list, { silent: true });
  console.log("%s", list ? `${line} ${JSON.stringify(list)}` : line, "gives", stdout);
}
END
)
seen "$result"
holds "$result" = "printf [%s] a \"\" \"b c\" gives [a][b c]
printf [%s] a '' 'b c' gives [a]['']['b][c']
printf [\"[%s]\",\"a\",\"\",\"b c\"] gives [a][][b c]"
