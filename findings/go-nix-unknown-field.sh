#!/usr/bin/env bash
# Part: go-nix 2025-01-01 (Go) with Nix 2.34.8
# One field that go-nix does not know makes it refuse the whole narinfo.
#
# One would guess that an unknown field is ignored, as Nix does: that is how the format got its later fields. Parse() gives "unknown key" and no narinfo.
# A cache that adds a field of its own, or a later Nix that does, is unreadable for tools that are made with go-nix.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_nix 2.34
version "github.com/nix-community/go-nix v0.0.0-20250101154619-4bdde671e0a1"
guess "read each time"
publish_hello 2.34
cp "$narinfo" "$work/plain.narinfo"
echo "X-Cache-Region: here" >>"$narinfo"
export PLAIN=$work/plain.narinfo EXTENDED=$narinfo
result=$(run_go github.com/nix-community/go-nix@v0.0.0-20250101154619-4bdde671e0a1 <<'END'
package main

import (
	"fmt"
	"os"

	"github.com/nix-community/go-nix/pkg/narinfo"
)

func main() {
	for _, name := range []string{"PLAIN", "EXTENDED"} {
		file, _ := os.Open(os.Getenv(name))
		if parsed, err := narinfo.Parse(file); err != nil {
			fmt.Println(name, err)
		} else {
			fmt.Println(name, "read,", parsed.NarSize, "bytes")
		}
	}
}
END
)
result+="
Nix: $(nix_of 2.34 reader nix path-info --store "file://$work/cache" "$path" >/dev/null 2>&1 && echo read || echo refused)"
seen "$result"
holds "$result" = "PLAIN read, 120 bytes
EXTENDED unknown key X-Cache-Region
Nix: read"
