#!/usr/bin/env bash
# Part: modernc.org/sqlite 1.62.0 (Go)
# SQLite cannot read the times that modernc.org/sqlite stores.
#
# One would guess a form that SQLite's own date functions know, for a column of the type DATETIME at least. A time.Time is stored as the text of
# its String() method, with the name of the zone behind the offset: unixepoch() and strftime() give NULL.
# Queries by age find nothing, without an error. Only the parameter _time_format=sqlite in the name of the database helps.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "modernc.org/sqlite v1.62.0"
guess "unixepoch() is 1767225600 each time"
result=$(run_go modernc.org/sqlite@v1.62.0 <<'END'
package main

import (
	"database/sql"
	"fmt"
	"time"

	_ "modernc.org/sqlite"
)

func main() {
	for _, name := range []string{":memory:", "file::memory:?_time_format=sqlite"} {
		database, err := sql.Open("sqlite", name)
		if err != nil {
			panic(err)
		}
		database.SetMaxOpenConns(1)
		database.Exec("CREATE TABLE pin (expires DATETIME)")
		database.Exec("INSERT INTO pin VALUES (?)", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		var stored string
		var seconds sql.NullInt64
		err = database.QueryRow("SELECT CAST(expires AS TEXT), unixepoch(expires) FROM pin").Scan(&stored, &seconds)
		fmt.Printf("%s: stored %q, unixepoch() %v, valid %v %v\n", name, stored, seconds.Int64, seconds.Valid, err)
	}
}
END
)
seen "$result"
holds "$result" = ':memory:: stored "2026-01-01 00:00:00 +0000 UTC", unixepoch() 0, valid false <nil>
file::memory:?_time_format=sqlite: stored "2026-01-01 00:00:00+00:00", unixepoch() 1767225600, valid true <nil>'
