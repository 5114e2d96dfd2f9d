#!/usr/bin/env bash
# Part: postgres 3.4.9 (npm) with PostgreSQL 16.2
# NULL in an array of text is the word "NULL" for postgres.js.
#
# One would guess null, as in an array of numbers, and as it binds it: a null in an array arrives at the server as NULL. What the server sends for it,
# an unquoted NULL, is read as text like others, so that it cannot be told from the word.
# Code that looks for missing names finds a name instead, which is true where null is false.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_postgres max_connections=20
npm_install postgres@3.4.9
export URL=postgres://postgres@127.0.0.1:$port/postgres
version "postgres 3.4.9 (npm)"
guess "[a,null,NULL], and [1,null]"
result=$(run_node <<'END'
import postgres from "postgres";
const sql = postgres(process.env.URL, { onnotice() {} });
const [row] = await sql`SELECT ARRAY['a', NULL, 'NULL'] AS names, ARRAY[1, NULL] AS numbers, (${["a", null]}::text[])[2] IS NULL AS bound`;
console.log(JSON.stringify(row));
process.exit();
END
)
seen "$result"
holds "$result" = '{"names":["a","NULL","NULL"],"numbers":[1,null],"bound":true}'
