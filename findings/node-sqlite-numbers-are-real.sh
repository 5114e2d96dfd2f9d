#!/usr/bin/env bash
# Part: Node.js 24.19.0, its module node:sqlite
# Each JavaScript number that node:sqlite binds is a REAL for SQLite, so 28 in a TEXT column becomes "28.0".
#
# One would guess that a whole number is bound as an integer, as Python and sql.js do. It is a REAL: `? / 2` of 5 is 2.5, and a
# column without a type or of type TEXT keeps "28.0", which then equals no '28'. Only a BigInt is an integer.
# A table of settings or of JSON values that two programs share has other values when one of them is written in JavaScript.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install sql.js@1.17.0
version "Node.js $(node --version); beside it sql.js 1.17.0"
guess "integer, 2 and 28 each time"
result=$(run_node <<'END'
import { DatabaseSync } from "node:sqlite";
import initSqlJs from "sql.js";
const create = "CREATE TABLE setting (value TEXT)", insert = "INSERT INTO setting VALUES (?)";
const select = "SELECT typeof(?), ? / 2, (SELECT value FROM setting)";
const other = new (await initSqlJs()).Database();
other.run(create);
other.run(insert, [28]);
console.log("sql.js:", ...other.exec(select, [5, 5])[0].values[0]);
const database = new DatabaseSync(":memory:");
database.exec(create);
for (const [name, convert] of [["node:sqlite", Number], ["node:sqlite with BigInt", BigInt]]) {
  database.exec("DELETE FROM setting");
  database.prepare(insert).run(convert(28));
  console.log(`${name}:`, ...Object.values(database.prepare(select).get(convert(5), convert(5))));
}
END
)
seen "$result"
holds "$result" = "sql.js: integer 2 28
node:sqlite: real 2.5 28.0
node:sqlite with BigInt: integer 2 28"
