#!/usr/bin/env bash
# Part: @actions/glob 0.7.0 (npm)
# hashFiles() of @actions/glob is the same for files of other names.
#
# One would guess that the hash is that of a tree, as those of Git and Nix are, and covers names. It is made of the contents alone, one after
# the other: after files are renamed or moved, or are the same under other folders, the hash is as before.
# As a cache key it brings back the results of the old tree for a new one in which modules have other names.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @actions/glob@0.7.0
version "@actions/glob 0.7.0"
guess "same, other, other"
mkdir -p "$work/workspace"/{first,same,renamed,moved/deep}
for folder in first same; do
    echo 1 >"$work/workspace/$folder/a.lock"
    echo 2 >"$work/workspace/$folder/b.lock"
done
echo 1 >"$work/workspace/renamed/x.lock"
echo 2 >"$work/workspace/renamed/y.lock"
echo 1 >"$work/workspace/moved/a.lock"
echo 2 >"$work/workspace/moved/deep/b.lock"
export GITHUB_WORKSPACE=$work/workspace
result=$(run_node <<'END' | grep -v '^::debug::'
import { hashFiles } from "@actions/glob";
process.chdir(process.env.GITHUB_WORKSPACE);
const first = await hashFiles("first/**/*.lock");
for (const folder of ["same", "renamed", "moved"]) {
  console.log(`${folder}: ${first !== "" && first === await hashFiles(`${folder}/**/*.lock`) ? "same" : "other"}`);
}
END
)
seen "$result"
holds "$result" = "same: same
renamed: same
moved: same"
