#!/usr/bin/env bash
# Part: sqlx 0.9.0 (crates.io) with its SQLite driver
# A time that sqlx stored is not before CURRENT_TIMESTAMP until the next day begins in UTC.
#
# One would guess that a DateTime<Utc> of one second ago is in the past for SQLite. sqlx stores it as text with a T between date and time, SQLite's own
# times have a space there, and text is compared: on the same day every stored time is later than every time of SQLite.
# "WHERE expires_at < CURRENT_TIMESTAMP" lets things live for up to a day longer. It works with a bound time, and in tests that use other days.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "sqlx 0.9.0"
guess "true for all"
result=$(run_rust 'sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "sqlite", "chrono"] }
tokio = { version = "1", features = ["rt-multi-thread", "macros"] }
chrono = "0.4"' <<'END'
use chrono::{DateTime, Utc};
use sqlx::{query_scalar, Connection, SqliteConnection};

#[tokio::main]
async fn main() {
    let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    for (stored, now) in [("2026-01-02T10:00:00Z", "2026-01-02T23:00:00Z"), ("2026-01-02T10:00:00Z", "2026-01-03T00:00:00Z")] {
        // datetime(?) writes a time as CURRENT_TIMESTAMP does.
        let own: bool = query_scalar("SELECT ? < datetime(?)").bind(time(stored)).bind(time(now)).fetch_one(&mut db).await.unwrap();
        let bound: bool = query_scalar("SELECT ? < ?").bind(time(stored)).bind(time(now)).fetch_one(&mut db).await.unwrap();
        println!("{stored} before {now}: bound {bound}, SQLite's own form {own}");
    }
    let form: bool = query_scalar("SELECT CURRENT_TIMESTAMP = datetime(CURRENT_TIMESTAMP) AND typeof(?) = 'text'")
        .bind(Utc::now()).fetch_one(&mut db).await.unwrap();
    println!("CURRENT_TIMESTAMP has that form: {form}");
}
END
)
seen "$result"
holds "$result" = "2026-01-02T10:00:00Z before 2026-01-02T23:00:00Z: bound true, SQLite's own form false
2026-01-02T10:00:00Z before 2026-01-03T00:00:00Z: bound true, SQLite's own form true
CURRENT_TIMESTAMP has that form: true"
