#!/usr/bin/env bash
# Part: sqlx 0.9.0 (crates.io) with its SQLite driver
# rows_affected() of a statement that changes nothing is that of an earlier statement.
#
# One would guess 0 for SELECT, BEGIN and CREATE TABLE, as on PostgreSQL (where only a SELECT counts its rows). SQLite keeps the
# number of the last INSERT, UPDATE or DELETE, of whoever used the connection, and sqlx passes it on for every statement.
# With a pool the earlier statement is somebody else's: the same call gives another number each time.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "sqlx 0.9.0"
guess "3 for the INSERT and 0 for all others"
result=$(run_rust 'sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "sqlite", "chrono"] }
tokio = { version = "1", features = ["rt-multi-thread", "macros"] }
chrono = "0.4"' <<'END'
use sqlx::{query, Connection, SqliteConnection};

#[tokio::main]
async fn main() {
    let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    for statement in [
        "CREATE TABLE path (name TEXT)",
        "INSERT INTO path VALUES ('a'), ('b'), ('c')",
        "SELECT name FROM path WHERE name = 'z'",
        "CREATE TABLE pin (name TEXT)",
        "BEGIN",
        "DELETE FROM path WHERE name = 'z'",
    ] {
        println!("{}: {}", statement, query(statement).execute(&mut db).await.unwrap().rows_affected());
    }
}
END
)
seen "$result"
holds "$result" = "CREATE TABLE path (name TEXT): 0
INSERT INTO path VALUES ('a'), ('b'), ('c'): 3
SELECT name FROM path WHERE name = 'z': 3
CREATE TABLE pin (name TEXT): 3
BEGIN: 3
DELETE FROM path WHERE name = 'z': 0"
