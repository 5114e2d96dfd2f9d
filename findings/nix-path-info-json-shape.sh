#!/usr/bin/env bash
# Part: Nix 2.8.0 and 2.26.3
# `nix path-info --json` prints an array in one version and an object in another, with the same fields missing or null.
#
# One would guess that the output for machines keeps its shape, or has a version to ask for. Nix 2.8 prints an array of
# objects with `path`; 2.26 an object whose keys are the paths. A path that is not valid is `"valid": false` in one and
# null in the other.
# A client of a cache that reads path infos by this command has to understand both.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.8 2.26
guess "the same type from both"
need_python
result=
for nix in 2.8 2.26; do
    write_hello
    path=$(nix_of "$nix" "store$nix" nix-build --no-out-link "$work/hello.nix" 2>/dev/null)
    missing=${path%/*}/0000000000000000000000000000000a-missing
    result+="$nix: $(nix_of "$nix" "store$nix" nix path-info --json "$path" "$missing" 2>/dev/null | python3 -c '
import json, sys
value = json.load(sys.stdin)
if isinstance(value, list):
    print("array;", "missing:", [entry for entry in value if "missing" in entry["path"]][0].get("valid"))
else:
    print("object;", "missing:", [value[path] for path in value if "missing" in path][0])')"$'\n'
done
seen "$result"
holds "$result" = "2.8: array; missing: False
2.26: object; missing: None
"
