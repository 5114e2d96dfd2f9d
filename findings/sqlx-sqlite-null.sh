#!/usr/bin/env bash
# Part: sqlx 0.9.0 (crates.io) with its SQLite driver
# NULL is 0, "" and false for sqlx on SQLite.
#
# One would guess an error when NULL is read into a type that is not an Option: the type of the Rust variable says that there is a value, and
# the same code gets "unexpected null" from PostgreSQL. On SQLite the value is decoded as the C library decodes NULL, and no error comes.
# A LEFT JOIN that finds nothing or a SUM over no rows yields sizes of 0 and empty names; tests on SQLite do not show what
# production on PostgreSQL refuses.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "sqlx 0.9.0"
guess "an error for all but the Option"
result=$(run_rust 'sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "sqlite", "chrono"] }
tokio = { version = "1", features = ["rt-multi-thread", "macros"] }
chrono = "0.4"' <<'END'
use sqlx::{query_scalar, Connection, SqliteConnection};

#[tokio::main]
async fn main() {
    let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    println!("i64: {:?}", query_scalar::<_, i64>("SELECT NULL").fetch_one(&mut db).await);
    println!("String: {:?}", query_scalar::<_, String>("SELECT NULL").fetch_one(&mut db).await);
    println!("bool: {:?}", query_scalar::<_, bool>("SELECT NULL").fetch_one(&mut db).await);
    println!("sum of no rows: {:?}", query_scalar::<_, i64>("SELECT SUM(x) FROM (SELECT 1 AS x WHERE 0)").fetch_one(&mut db).await);
    println!("Option: {:?}", query_scalar::<_, Option<i64>>("SELECT NULL").fetch_one(&mut db).await);
}
END
)
seen "$result"
holds "$result" = 'i64: Ok(0)
String: Ok("")
bool: Ok(false)
sum of no rows: Ok(0)
Option: Ok(None)'
