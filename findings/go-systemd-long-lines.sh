#!/usr/bin/env bash
# Part: go-systemd 22.7.0 (Go)
# go-systemd refuses a unit file with a line above 2048 bytes.
#
# One would guess that the limit, if any, is that of systemd, which is one mebibyte. Deserialize() gives "line too long" and no options.
# Units that NixOS writes have PATH and ExecStart lines with many store paths: the unit runs, and the tool that reads it fails.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "github.com/coreos/go-systemd/v22 v22.7.0"
guess "read each time"
result=$(run_go github.com/coreos/go-systemd/v22@v22.7.0 <<'END'
package main

import (
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
)

func main() {
	for _, paths := range []int{40, 50} {
		value := strings.TrimSuffix(strings.Repeat("/nix/store/00000000000000000000000000000000-tool/bin:", paths), ":")
		options, err := unit.Deserialize(strings.NewReader("[Service]\nEnvironment=PATH=" + value + "\n"))
		fmt.Printf("%d store paths: %d option, error: %v\n", paths, len(options), err)
	}
}
END
)
seen "$result"
holds "$result" = "40 store paths: 0 option, error: line too long (max 2048 bytes)
50 store paths: 0 option, error: line too long (max 2048 bytes)"
