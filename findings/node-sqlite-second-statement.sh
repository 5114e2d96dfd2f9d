#!/usr/bin/env bash
# Part: Node.js 24.19.0, its module node:sqlite
# prepare() of node:sqlite drops all but the first statement of its text without a word.
#
# One would guess an error, as Python's sqlite3 and better-sqlite3 raise, or that both are run, as exec() does. The second is not even
# parsed: it may be anything.
# A migration that is run by prepare().run(), to get the number of changes, makes the first of its tables.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_node
version "Node.js $(node --version)"
guess "an error, or tables a and b"
result=$(run_node <<'END'
import { DatabaseSync } from "node:sqlite";
const database = new DatabaseSync(":memory:");
for (const text of ["CREATE TABLE a (x); CREATE TABLE b (x)", "SELECT 1; this is no statement"]) {
  try {
    database.prepare(text).run();
    console.log("no error");
  } catch (error) {
    console.log(error.message);
  }
}
console.log("tables", ...database.prepare("SELECT name FROM sqlite_schema").all().map(({ name }) => name));
END
)
seen "$result"
holds "$result" = "no error
no error
tables a"
