#!/usr/bin/env bash
# Part: sqlx 0.9.0 (crates.io) with PostgreSQL 16.2
# A pool of sqlx does not say that PostgreSQL has no connection left: it waits, and then says that its own pool was too busy.
#
# One would guess the error of the server (53300, "sorry, too many clients already") at once, as a single connection of sqlx gives it. The pool
# tries again without a word until the acquire timeout, 30 s by default, and then gives PoolTimedOut with no cause.
# One looks for connections that are not given back, and makes the pool larger, which makes it worse.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_postgres max_connections=1 superuser_reserved_connections=0 max_wal_senders=0
version "sqlx 0.9.0"
guess "too many clients, at once, both times"
export URL=postgres://postgres@127.0.0.1:$port/postgres
result=$(run_rust 'sqlx = { version = "=0.9.0", default-features = false, features = ["postgres", "runtime-tokio"] }
tokio = { version = "1", features = ["full"] }' <<'END'
use sqlx::{postgres::PgPoolOptions, Connection, PgConnection};
use std::time::{Duration, Instant};

fn said(error: sqlx::Error, start: Instant) -> String {
    let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
    format!("{}, SQLSTATE {code:?}, {}", error, if start.elapsed() < Duration::from_secs(3) { "at once" } else { "after 4 s" })
}

#[tokio::main]
async fn main() {
    let url = std::env::var("URL").unwrap();
    let _held = PgConnection::connect(&url).await.unwrap();
    let start = Instant::now();
    println!("connection: {}", said(PgConnection::connect(&url).await.unwrap_err(), start));
    let pool = PgPoolOptions::new().max_connections(5).acquire_timeout(Duration::from_secs(4)).connect_lazy(&url).unwrap();
    let start = Instant::now();
    println!("pool: {}", said(pool.acquire().await.unwrap_err(), start));
}
END
)
seen "$result"
holds "$result" = 'connection: error returned from database: sorry, too many clients already at line 351, SQLSTATE Some("53300"), at once
pool: pool timed out while waiting for an open connection, SQLSTATE None, after 4 s'
