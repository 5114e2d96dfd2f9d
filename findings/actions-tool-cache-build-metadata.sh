#!/usr/bin/env bash
# Part: @actions/tool-cache 4.0.0 (npm)
# @actions/tool-cache keeps 2.28.3+a and 2.28.3+b in one folder: who asks for one gets the other.
#
# One would guess two tools, as the two names say, or an error. All behind the plus sign is cut off before the folder is made, so storing the second
# one replaces the first, and find() of the first gives the second.
# A build whose commit is in the version's metadata, as versions of the form 2.35.0+g1a2b3c are, is taken for every other build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @actions/tool-cache@4.0.0
version "@actions/tool-cache 4.0.0"
guess "2.28.3+a has a, 2.28.3+b has b, 2.28.3+c is not found"
result=$(RUNNER_TOOL_CACHE=$work/tools RUNNER_TEMP=$work/temp run_node <<'END'
import fs from "node:fs";
import { cacheFile, find } from "@actions/tool-cache";
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (text, ...rest) => String(text).startsWith("::debug::") || write(text, ...rest);
const folder = fs.mkdtempSync(`${process.env.RUNNER_TEMP}-`);
for (const build of ["a", "b"]) {
  fs.writeFileSync(`${folder}/${build}`, build);
  await cacheFile(`${folder}/${build}`, "nix", "nix", `2.28.3+${build}`);
}
for (const build of ["a", "b", "c"]) {
  const found = find("nix", `2.28.3+${build}`);
  console.log(`2.28.3+${build}`, found ? `has ${fs.readFileSync(`${found}/nix`)}` : "is not found");
}
END
)
seen "$result"
holds "$result" = "2.28.3+a has b
2.28.3+b has b
2.28.3+c has b"
