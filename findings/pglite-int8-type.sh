#!/usr/bin/env bash
# Part: @electric-sql/pglite 0.5.17 (npm)
# A bigint of PGlite is a number in one row and a BigInt in the next, by its value.
#
# One would guess one type for a column: BigInt, or text as other drivers of PostgreSQL give it. What fits in 53 bits is a number, all else a BigInt, and a
# sum over a column is text. `a === b` between the two is false, arithmetic between them throws, and JSON.stringify() fails for a BigInt.
# Code that passed each test with small sizes and ids throws for the first large one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @electric-sql/pglite@0.5.17
version "@electric-sql/pglite 0.5.17"
guess "bigint each time"
result=$(run_node <<'END'
import { PGlite } from "@electric-sql/pglite";
const database = new PGlite();
await database.query("CREATE TABLE nar (size bigint)");
await database.query("INSERT INTO nar VALUES (9007199254740991), (9007199254740992)");
const { rows } = await database.query("SELECT size FROM nar ORDER BY size");
for (const { size } of rows) console.log(`${size}: ${typeof size}`);
const sum = (await database.query("SELECT sum(size) AS size FROM nar")).rows[0].size;
console.log(`sum: ${typeof sum}`);
const attempt = (what, run) => {
  try {
    console.log(`${what}: ${run()}`);
  } catch (error) {
    console.log(`${what}: ${error.constructor.name}`);
  }
};
attempt("added", () => rows[0].size + rows[1].size);
attempt("as JSON", () => JSON.stringify(rows));
END
)
seen "$result"
holds "$result" = "9007199254740991: number
9007199254740992: bigint
sum: string
added: TypeError
as JSON: TypeError"
