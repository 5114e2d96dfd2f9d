//! Whether PostgreSQL gives each connection a session of its own, which prepared statements, settings and transactions
//! rely on. A pooler between may hand a session from one client to the next, and then runs other statements than were meant.

use sqlx::{AnyConnection, AssertSqlSafe, Executor as _, Row as _};

use super::{CatalogError, Result};

/// How often it is tried: whether two connections meet in one session depends on what others do.
const ROUNDS: u32 = 3;

const SESSION_POOLING: &str = "PgBouncer needs `pool_mode = session` and `ignore_startup_parameters = extra_float_digits`, \
                               pgpool-II `backend_clustering_mode = 'streaming_replication'`; or connect to PostgreSQL itself \
                               (docs/databases.md)";

/// What a connection that could not be opened is refused with, if the URL or a pooler has to be changed.
pub(super) fn refused_at_start(error: &sqlx::Error) -> Option<CatalogError> {
    let message = error.as_database_error()?.message();
    message.contains("unsupported startup parameter").then(|| {
        CatalogError::Url(format!(
            "the connection pooler refuses the connection ({message}): {SESSION_POOLING}"
        ))
    })
}

/// Refuses a pooler that does not keep two connections apart, and a database that does not keep every text.
pub(super) async fn require(first: &mut AnyConnection, second: &mut AnyConnection) -> Result<()> {
    for round in 0..ROUNDS {
        let (one, two) = (format!("{round}-first"), format!("{round}-second"));
        set(first, &one).await?;
        set(second, &two).await?;
        // The last one first: a pooler that goes round its sessions would give each to whoever had it.
        if read(second).await? != two || read(first).await? != one {
            return Err(CatalogError::Url(format!(
                "a setting of one connection has come up in another, so a pooler shares sessions of PostgreSQL among \
                 connections: {SESSION_POOLING}"
            )));
        }
    }
    let encoding = first
        .fetch_one("SELECT current_setting('server_encoding') AS encoding")
        .await?
        .try_get::<String, _>("encoding")?;
    if encoding != "UTF8" {
        return Err(CatalogError::Url(format!(
            "the database has the encoding {encoding}, which cannot hold every name: make one with \
             `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
        )));
    }
    Ok(())
}

/// Refuses a pooler that leaves a transaction open after a statement that changes something outside of any. The database takes
/// changes.
pub(super) async fn require_commits(connection: &mut AnyConnection) -> Result<()> {
    let made = connection
        .execute("CREATE TEMPORARY TABLE niks3_probe (x INT)")
        .await;
    match made.map_err(CatalogError::from) {
        // Who may not make temporary tables is not asked.
        Err(CatalogError::Denied(_)) => return Ok(()),
        made => made?,
    };
    sqlx::query("DELETE FROM niks3_probe")
        .execute(&mut *connection)
        .await?;
    let left_open = transaction_start(connection).await? == transaction_start(connection).await?;
    connection.execute("DROP TABLE niks3_probe").await?;
    if left_open {
        return Err(CatalogError::Url(format!(
            "a statement outside of any transaction has left one open, so a pooler does not let it take effect: \
             {SESSION_POOLING}"
        )));
    }
    Ok(())
}

/// Without a prepared statement: that of another connection could be run instead.
async fn set(connection: &mut AnyConnection, value: &str) -> Result<()> {
    let statement = format!("SET niks3.connection = '{value}'");
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

async fn read(connection: &mut AnyConnection) -> Result<String> {
    let row = connection
        .fetch_one("SELECT COALESCE(current_setting('niks3.connection', true), '') AS connection")
        .await?;
    Ok(row.try_get("connection")?)
}

/// When the transaction of this statement began, in microseconds. It is prepared, as almost every statement of the server is.
async fn transaction_start(connection: &mut AnyConnection) -> Result<i64> {
    let text = "SELECT CAST(EXTRACT(EPOCH FROM now()) * 1000000 AS BIGINT)";
    Ok(sqlx::query_scalar(text).fetch_one(connection).await?)
}
