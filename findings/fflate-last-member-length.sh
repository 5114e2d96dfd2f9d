#!/usr/bin/env bash
# Part: fflate 0.8.3 (npm)
# Of a gzip file of two members, gunzipSync() of fflate gives as many bytes of the first member as the second one has.
#
# One would guess both members, as gzip and the streaming class of fflate give them, or the whole first one. The length at the end of the
# file is taken for the length of all, and the first member is cut off there, without an error.
# Logs that are appended to a .gz file, and files with zeros behind the end, which gzip takes as well, come out short or empty.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_command gzip gzip
npm_install fflate@0.8.3
version "fflate 0.8.3"
guess "the first line and the second, each time"
{
    echo "the first line" | gzip
    echo two | gzip
} >"$work/two.gz"
{
    echo "the first line" | gzip
    head -c 512 /dev/zero
} >"$work/zeros.gz"
export FOLDER=$work
result=$(run_node <<'END'
import { readFileSync } from "node:fs";
import { Gunzip, gunzipSync } from "fflate";
const text = (bytes) => JSON.stringify(Buffer.from(bytes).toString());
for (const name of ["two", "zeros"]) console.log(`gunzipSync ${name}: ${text(gunzipSync(readFileSync(`${process.env.FOLDER}/${name}.gz`)))}`);
const chunks = [];
new Gunzip((chunk) => chunks.push(chunk)).push(readFileSync(`${process.env.FOLDER}/two.gz`), true);
console.log(`Gunzip two: ${text(Buffer.concat(chunks))}`);
END
)
result+="
gzip zeros: $(gzip -dc <"$work/zeros.gz" 2>/dev/null)"
seen "$result"
holds "$result" = 'gunzipSync two: "the "
gunzipSync zeros: ""
Gunzip two: "the first line\ntwo\n"
gzip zeros: the first line'
