//! The database of the original niks3, which is only read.
//!
//! Of its tables, these matter: `closures` (`key` is the narinfo of the root, `updated_at` its last push) and `pins`.
//! `objects` has the key of everything in the bucket, but not what a narinfo says, so a repair reads the bucket instead.
//! Times without a time zone are UTC.

use std::str::FromStr as _;
use std::time::Duration;

use futures::TryStreamExt as _;
use niks3_catalog::{ImportedClosure, ImportedPin, local_postgres_url};
use niks3_nix::store_path::{StoreDir, StorePathHash};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};

use crate::pin_name::PinName;
use crate::start_error::StartError;

/// How long the database may take to let the import in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Age of the newest row from which on the original counts as stopped: its pushes change rows more often.
const QUIET: Duration = Duration::from_secs(15 * 60);
/// Rows that cannot be read and are named one by one.
const MAX_NAMED: u64 = 20;

/// What the database has.
#[derive(Debug, Default)]
pub struct Found {
    pub(super) closures: Vec<ImportedClosure>,
    pub(super) pins: Vec<ImportedPin>,
    /// Rows that mean nothing to this version.
    pub(super) skipped: u64,
}

/// A connection to the database.
pub(super) struct Source {
    connection: PgConnection,
    has_pins: bool,
}

fn failed(error: impl std::fmt::Display) -> StartError {
    StartError::Failed(format!("--from-niks3: {error}"))
}

fn usage(why: impl std::fmt::Display) -> StartError {
    StartError::Usage(format!("--from-niks3: {why}"))
}

impl Source {
    /// Connects, and finds that it is a database of the original.
    ///
    /// # Errors
    /// When it does not answer, or is another one.
    pub async fn open(url: &str) -> Result<Self, StartError> {
        if !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
            return Err(usage("write postgres://user@host/name"));
        }
        let options = PgConnectOptions::from_str(&local_postgres_url(url))
            .map_err(|_| usage("not a database URL: write postgres://user@host/name"))?
            .application_name("niks3-server import")
            .disable_statement_logging();
        let connecting = PgConnection::connect_with(&options);
        let mut connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| failed("the database does not answer"))?
            .map_err(failed)?;
        connection
            .execute("SET default_transaction_read_only = on; SET statement_timeout = '10min'")
            .await
            .map_err(failed)?;
        let row = sqlx::query(
            "SELECT to_regclass('goose_db_version') IS NOT NULL AND to_regclass('closures') IS NOT NULL, \
             to_regclass('ownership') IS NOT NULL, to_regclass('pins') IS NOT NULL",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(failed)?;
        let [is_original, is_ours, has_pins] =
            [0_usize, 1, 2].map(|column| row.try_get::<bool, _>(column).unwrap_or_default());
        if is_ours {
            return Err(usage(
                "this is a database of this niks3-server, not of the original: give it as --db",
            ));
        }
        if !is_original {
            return Err(usage(
                "this is no database of the original niks3: it has no tables goose_db_version and closures",
            ));
        }
        Ok(Self { connection, has_pins })
    }

    /// Finds that nobody else uses the database.
    ///
    /// # Errors
    /// When somebody does.
    pub(crate) async fn require_idle(&mut self) -> Result<(), StartError> {
        // Of the sessions of other roles only some columns can be seen. Those of the system have no role.
        let row = sqlx::query(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
             AND usesysid IS NOT NULL AND COALESCE(backend_type, 'client backend') = 'client backend'",
        )
        .fetch_one(&mut self.connection)
        .await
        .map_err(failed)?;
        let sessions: i64 = row.try_get(0).map_err(failed)?;
        if sessions > 0 {
            let s = if sessions == 1 { "" } else { "s" };
            return Err(failed(format!(
                "the database has {sessions} other session{s}: stop the original niks3-server, and whatever else uses the \
                 database, then import again; or give --source-is-stopped if the original is stopped"
            )));
        }
        Ok(())
    }

    /// Finds that the database has not been written lately.
    ///
    /// # Errors
    /// When it has.
    pub(crate) async fn require_quiet(&mut self) -> Result<(), StartError> {
        let mut times = vec![
            "SELECT max(updated_at) AS at FROM closures",
            "SELECT max(started_at) FROM pending_closures",
            "SELECT max(first_deleted_at) FROM objects",
        ];
        if self.has_pins {
            // The original writes UTC into a column with time zone. With a session in another time zone those
            // times are off by some hours, and those in the future say nothing.
            times.push(
                "SELECT max(timezone('UTC', updated_at)) FROM pins WHERE updated_at <= clock_timestamp()",
            );
        }
        let question = format!(
            "SELECT CAST(EXTRACT(EPOCH FROM timezone('UTC', clock_timestamp()) - max(at)) AS BIGINT) FROM ({}) AS times",
            times.join(" UNION ALL ")
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(question))
            .fetch_one(&mut self.connection)
            .await
            .map_err(failed)?;
        let age: Option<i64> = row.try_get(0).map_err(failed)?;
        let quiet = i64::try_from(QUIET.as_secs()).unwrap_or(i64::MAX);
        match age {
            Some(age) if age < quiet => Err(failed(format!(
                "the database was written {} ago, and the original niks3-server may be running: stop it, then import again \
                 once that is {} minutes ago; or give --source-is-stopped if it is stopped",
                humantime::format_duration(Duration::from_secs(age.max(0).unsigned_abs())),
                QUIET.as_secs() / 60
            ))),
            _ => Ok(()),
        }
    }

    /// Reads closures and pins as they are at one moment.
    ///
    /// # Errors
    /// When the database does not answer, or has other columns than those that are known.
    pub async fn read(&mut self, store_dir: &StoreDir) -> Result<Found, StartError> {
        let has_pins = self.has_pins;
        let mut tx = self
            .connection
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(failed)?;
        let mut found = Found::default();
        let mut rows = sqlx::query(
            "SELECT key, CAST(EXTRACT(EPOCH FROM updated_at) AS BIGINT) FROM closures ORDER BY updated_at DESC",
        )
        .fetch(&mut *tx);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let key: String = row.try_get(0).map_err(failed)?;
            match key.strip_suffix(".narinfo").map(str::parse::<StorePathHash>) {
                Some(Ok(hash)) => found.closures.push(ImportedClosure {
                    hash,
                    pushed_at: row.try_get(1).map_err(failed)?,
                }),
                _ => found.skip("closure", &key, "its key is not that of a narinfo"),
            }
        }
        drop(rows);
        if has_pins {
            let mut rows = sqlx::query(
                "SELECT name, store_path, CAST(EXTRACT(EPOCH FROM created_at) AS BIGINT), \
                 CAST(EXTRACT(EPOCH FROM updated_at) AS BIGINT), CAST(EXTRACT(EPOCH FROM now()) AS BIGINT) FROM pins",
            )
            .fetch(&mut *tx);
            while let Some(row) = rows.try_next().await.map_err(failed)? {
                let name: String = row.try_get(0).map_err(failed)?;
                let path: String = row.try_get(1).map_err(failed)?;
                let [created_at, updated_at, now] =
                    [2_usize, 3, 4].map(|column| row.try_get::<i64, _>(column));
                let now = now.map_err(failed)?;
                match (name.parse::<PinName>(), store_dir.parse(&path)) {
                    (Ok(name), Ok(path)) => found.pins.push(ImportedPin {
                        name: name.to_string(),
                        path,
                        created_at: created_at.map_err(failed)?.min(now),
                        updated_at: updated_at.map_err(failed)?.min(now),
                    }),
                    (Err(why), _) => found.skip("pin", &name, &why),
                    (_, Err(error)) => found.skip("pin", &name, &format!("{path}: {error}")),
                }
            }
        }
        tx.rollback().await.map_err(failed)?;
        Ok(found)
    }

    /// Ends the session.
    pub async fn close(self) {
        // The server notices a lost connection as well.
        let _ = self.connection.close().await;
    }
}

impl Found {
    fn skip(&mut self, what: &str, name: &str, why: &str) {
        self.skipped += 1;
        if self.skipped <= MAX_NAMED {
            tracing::warn!(name, why, "a {what} of the original is left out");
        }
    }
}
