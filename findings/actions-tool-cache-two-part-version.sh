#!/usr/bin/env bash
# Part: @actions/tool-cache 4.0.0 (npm)
# A tool that @actions/tool-cache stores as version 2.28 is never found again.
#
# One would guess that find() gets what cacheDir() stored under the same name and version, or that cacheDir() refuses the version. It
# stores it, and find("nix", "2.28") takes "2.28" for a range that only versions of three parts can match: the folder is not
# found by that nor by any other version, and a later 2.28.1 is found instead.
# An action that keeps a tool by a version such as 2.28, 2.35pre20260101 or 20261128 downloads it each time, without a word.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @actions/tool-cache@4.0.0
version "@actions/tool-cache 4.0.0"
guess "found each time"
result=$(RUNNER_TOOL_CACHE=$work/tools RUNNER_TEMP=$work/temp run_node <<'END'
import fs from "node:fs";
import { cacheDir, find, findAllVersions } from "@actions/tool-cache";
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (text, ...rest) => String(text).startsWith("::debug::") || write(text, ...rest);
const tool = fs.mkdtempSync(`${process.env.RUNNER_TEMP}-`);
for (const version of ["2.28.0", "2.28", "20261128", "2.35pre20260101"]) {
  const stored = await cacheDir(tool, `nix-${version}`, version);
  console.log(`${version}: stored ${fs.existsSync(stored)}, found ${find(`nix-${version}`, version) === stored}, versions [${findAllVersions(`nix-${version}`)}]`);
}
END
)
seen "$result"
holds "$result" = "2.28.0: stored true, found true, versions [2.28.0]
2.28: stored true, found false, versions []
20261128: stored true, found false, versions []
2.35pre20260101: stored true, found false, versions []"
