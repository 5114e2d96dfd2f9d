#!/usr/bin/env bash
# Part: klauspost/compress 1.20.4 (Go) with zstd 1.5.4 (Debian 12)
# The zstd file that klauspost/compress makes of empty contents is empty, and zstd refuses to read it.
#
# One would guess a frame of nine bytes or so, as `zstd` writes it. Nothing at all is written, by the writer as well as by EncodeAll(), unless
# the option WithZeroFrames is given.
# Empty files and logs are what nobody tests: they cannot be unpacked, and an upload of 0 bytes looks like one that failed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command_from "$(debian bookworm zstd=1.5.4+dfsg2-5)" zstd
version "github.com/klauspost/compress v1.20.4, zstd 1.5.4"
guess "9 to 13 bytes, read each time"
export FOLDER=$work
result=$(run_go github.com/klauspost/compress@v1.20.4 <<'END'
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/klauspost/compress/zstd"
)

func main() {
	for _, zero := range []bool{false, true} {
		var buffer bytes.Buffer
		writer, _ := zstd.NewWriter(&buffer, zstd.WithZeroFrames(zero))
		all := writer.EncodeAll(nil, nil)
		writer.Close()
		fmt.Printf("WithZeroFrames(%v): %v, EncodeAll %v\n", zero, buffer.Len() > 0, len(all) > 0)
		os.WriteFile(fmt.Sprintf("%s/%v", os.Getenv("FOLDER"), zero), buffer.Bytes(), 0o600)
	}
}
END
)
for zero in false true; do
    result+="
zstd reads $zero: $(zstd -dc <"$work/$zero" >/dev/null 2>&1 && echo yes || echo no)"
done
seen "$result"
holds "$result" = "WithZeroFrames(false): false, EncodeAll false
WithZeroFrames(true): true, EncodeAll true
zstd reads false: no
zstd reads true: yes"
