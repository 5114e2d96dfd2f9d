#!/usr/bin/env bash
# Part: sqlx 0.9.0 (crates.io) with its SQLite driver
# sqlx runs a statement on SQLite with fewer or more values than it has placeholders.
#
# One would guess an error, as PostgreSQL gives and as other SQLite libraries do (Python's says "Incorrect number of bindings"). A missing
# value is NULL, and a value too many is dropped.
# A bind() that was forgotten in a statement with many columns stores NULL, or makes a WHERE clause find nothing, silently.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "sqlx 0.9.0"
guess "an error from both libraries for one and for three values"
need_python
result=$(python3 - <<'END'
import sqlite3
for values in ((1,), (1, 2), (1, 2, 3)):
    try:
        print("Python", len(values), sqlite3.connect(":memory:").execute("SELECT ?, ?", values).fetchone())
    except sqlite3.Error as error:
        print("Python", len(values), str(error).split(".")[0])
END
)
result+=$'\n'$(run_rust 'sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "sqlite", "chrono"] }
tokio = { version = "1", features = ["rt-multi-thread", "macros"] }
chrono = "0.4"' <<'END'
use sqlx::{query_as, Connection, SqliteConnection};

#[tokio::main]
async fn main() {
    let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    for count in 1..=3 {
        let mut query = query_as::<_, (Option<i64>, Option<i64>)>("SELECT ?, ?");
        for value in 1..=count {
            query = query.bind(value);
        }
        println!("sqlx {count} {:?}", query.fetch_one(&mut db).await);
    }
}
END
)
seen "$result"
holds "$result" = "Python 1 Incorrect number of bindings supplied
Python 2 (1, 2)
Python 3 Incorrect number of bindings supplied
sqlx 1 Ok((Some(1), None))
sqlx 2 Ok((Some(1), Some(2)))
sqlx 3 Ok((Some(1), Some(2)))"
