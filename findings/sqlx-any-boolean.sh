#!/usr/bin/env bash
# Part: sqlx 0.9.0 (crates.io) with its Any and SQLite drivers
# One BOOLEAN column makes a whole row of SQLite unreadable for sqlx's Any driver, whichever columns are read.
#
# One would guess that bool works, since the Any driver has such a type, or that reading that column alone fails. All columns
# of a row are translated when it arrives, and SQLite's BOOLEAN has no translation: reading `name` from "SELECT *" fails as well.
# The same table with INTEGER instead works, and there bool cannot be read from it.
# A schema that is right for each of two databases is not right for the driver that is there for both.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "sqlx 0.9.0"
guess "the name each time, and true for the flag"
result=$(run_rust 'sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "sqlite", "any"] }
tokio = { version = "1", features = ["rt-multi-thread", "macros"] }' <<'END'
use sqlx::{query, AnyConnection, Connection, Row};

#[tokio::main]
async fn main() {
    sqlx::any::install_default_drivers();
    for kind in ["INTEGER", "BOOLEAN"] {
        let mut db = AnyConnection::connect("sqlite::memory:").await.unwrap();
        let create: &'static str = if kind == "BOOLEAN" { "CREATE TABLE pin (name TEXT, kept BOOLEAN)" } else { "CREATE TABLE pin (name TEXT, kept INTEGER)" };
        query(create).execute(&mut db).await.unwrap();
        query("INSERT INTO pin VALUES ('a', 1)").execute(&mut db).await.unwrap();
        for column in ["name", "kept"] {
            let row = query("SELECT * FROM pin").fetch_one(&mut db).await;
            let value = row.and_then(|row| if column == "name" { row.try_get::<String, _>(0) } else { row.try_get::<bool, _>(1).map(|kept| kept.to_string()) });
            match value {
                Ok(value) => println!("{kind}, {column}: {value}"),
                Err(error) => println!("{kind}, {column}: {}", error.to_string().rsplit(": ").next().unwrap()),
            }
        }
    }
}
END
)
seen "$result"
holds "$result" = 'INTEGER, name: a
INTEGER, kept: mismatched types; Rust type `bool` is not compatible with SQL type `BIGINT`
BOOLEAN, name: Any driver does not support the SQLite type SqliteTypeInfo(Bool)
BOOLEAN, kept: Any driver does not support the SQLite type SqliteTypeInfo(Bool)'
