#!/usr/bin/env bash
# Part: Node.js 24.19.0, its module node:sqlite
# A Date is refused by node:sqlite as the second parameter, and stored as NULL as the first one.
#
# One would guess an error at each place, since a Date cannot be bound. An object in front is taken for the list of named parameters; a Date has
# no names in it, so nothing is bound for it, the values behind it move up by one column, and nothing is said.
# An expiry that was passed as a Date is NULL, which for most schemas means that it never expires.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_node
version "Node.js $(node --version)"
guess "an error each time"
result=$(run_node <<'END'
import { DatabaseSync } from "node:sqlite";
const database = new DatabaseSync(":memory:");
database.exec("CREATE TABLE pin (expires TEXT, name TEXT)");
for (const [order, ...values] of [["name, expires", "a", new Date()], ["expires", new Date()], ["expires, name", new Date(), "b"]]) {
  try {
    database.prepare(`INSERT INTO pin (${order}) VALUES (${values.map(() => "?")})`).run(...values);
    const { name, expires } = database.prepare("SELECT * FROM pin ORDER BY rowid DESC").get();
    console.log(`${order}: stored name ${name}, expires ${expires}`);
  } catch (error) {
    console.log(`${order}: ${error.code}`);
  }
}
END
)
seen "$result"
holds "$result" = "name, expires: ERR_INVALID_ARG_TYPE
expires: stored name null, expires null
expires, name: stored name null, expires b"
