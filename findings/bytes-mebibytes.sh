#!/usr/bin/env bash
# Part: bytes 3.1.2 (npm)
# bytes("10MiB") of the bytes package is 10.
#
# One would guess 10485760, or null as for other text that it cannot read: it takes "MB" for 1024 * 1024 bytes. Any text that begins
# with a number and has a unit it does not know ("MiB", "M", "mb!") gives the number without its unit, as does "1,024".
# Limits of bodies in Express are read by it: with a limit of "10MiB" each upload of more than 10 bytes gets 413.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install bytes@3.1.2
version "bytes 3.1.2"
guess "10485760 three times, or null for units that it does not know"
result=$(run_node <<'END'
import bytes from "bytes";
for (const text of ["10MB", "10MiB", "10M", "MiB"]) console.log(`${text}: ${bytes.parse(text)}`);
END
)
seen "$result"
holds "$result" = "10MB: 10485760
10MiB: 10
10M: 10
MiB: null"
