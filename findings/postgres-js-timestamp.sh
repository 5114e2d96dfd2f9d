#!/usr/bin/env bash
# Part: postgres 3.4.9 (npm) with PostgreSQL 16.2
# A Date that postgres.js has stored in a timestamp column is read as another time, if the machine is not in UTC.
#
# One would guess that a value comes back as it was, in UTC or in local time both ways. postgres.js writes the
# time in UTC and reads the text as local time. Columns of the type timestamptz and machines in UTC show nothing.
# All is well in CI and in containers. On a developer's machine each row that is read and written back moves by hours.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_postgres max_connections=20
npm_install postgres@3.4.9
export URL=postgres://postgres@127.0.0.1:$port/postgres
version "postgres 3.4.9 (npm)"
guess "the same time each time"
export TZ=America/New_York
result=$(run_node <<'END'
import postgres from "postgres";
const sql = postgres(process.env.URL, { onnotice() {} });
await sql`CREATE TABLE pin (plain timestamp, zoned timestamptz)`;
const when = new Date("2026-01-01T12:00:00Z");
for (const column of ["zoned", "plain"]) {
  const [row] = await sql`INSERT INTO pin ${sql({ [column]: when })} RETURNING ${sql(column)} AS when`;
  console.log(`${column}: ${row.when.toISOString()}`);
}
process.exit();
END
)
seen "$result"
holds "$result" = "zoned: 2026-01-01T12:00:00.000Z
plain: 2026-01-01T17:00:00.000Z"
