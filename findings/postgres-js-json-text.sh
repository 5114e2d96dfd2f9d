#!/usr/bin/env bash
# Part: postgres 3.4.9 (npm) with PostgreSQL 16.2
# Text that is bound to a jsonb column with postgres.js becomes a JSON string, whatever is in the text.
#
# One would guess that the text is sent to the server, which reads it as JSON, as it does with a literal in the statement. postgres.js
# encodes each value by itself for a jsonb parameter, so that JSON.stringify() before it makes a string out of an object.
# Nothing fails when it is written. Queries with -> and @> find nothing, and rows of two programs look different.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_postgres max_connections=20
npm_install postgres@3.4.9
export URL=postgres://postgres@127.0.0.1:$port/postgres
version "postgres 3.4.9 (npm)"
guess "object both times"
result=$(run_node <<'END'
import postgres from "postgres";
const sql = postgres(process.env.URL, { onnotice() {} });
await sql`CREATE TABLE pin (labels jsonb)`;
for (const [name, labels] of [["object", { os: "linux" }], ["text", JSON.stringify({ os: "linux" })]]) {
  const [row] = await sql`INSERT INTO pin VALUES (${labels}) RETURNING jsonb_typeof(labels) AS type, labels->>'os' AS os`;
  console.log(`${name}: ${row.type}, os ${row.os}`);
}
process.exit();
END
)
seen "$result"
holds "$result" = "object: object, os linux
text: string, os null"
