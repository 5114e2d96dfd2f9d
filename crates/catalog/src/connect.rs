//! The first connection to the database, which says what is wrong where a pool would only say that it has waited for too
//! long; and how every connection is set up.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Connection as _, Executor as _};

use super::{Backend, CatalogError, Result, sessions};

/// How long a connection may take to be opened.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Parameters of a URL of PostgreSQL that name files, as sqlx reads them.
const FILES: [&str; 7] = [
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
];

/// Where connections go. Its URL can hold a password, which no log may have.
#[derive(Clone)]
pub(super) struct Target(pub(super) AnyConnectOptions);

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Target").finish_non_exhaustive()
    }
}

/// What each connection begins with.
pub(super) const fn settings(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA busy_timeout = 30000; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;"
        }
        Backend::Postgres => {
            "SET plan_cache_mode = force_custom_plan; SET lock_timeout = '30s'; SET statement_timeout = '10min'; \
             SET idle_in_transaction_session_timeout = '60s';"
        }
    }
}

/// Refuses a URL of PostgreSQL that names a file which cannot be read: that looks like a database which does not answer.
pub(super) fn refuse_missing_files(backend: Backend, url: &str) -> Result<()> {
    let (Backend::Postgres, Ok(url)) = (backend, url::Url::parse(url)) else {
        return Ok(());
    };
    for (name, file) in url.query_pairs() {
        // A certificate can be in the URL itself.
        if !FILES.contains(&&*name) || file.trim_start().starts_with("-----BEGIN") {
            continue;
        }
        if let Err(error) = File::open(&*file) {
            return Err(CatalogError::Url(format!(
                "{name}={file} cannot be read: {error}"
            )));
        }
    }
    Ok(())
}

/// Opens a connection and closes it again; the folder of the file that it is to, if it is to one.
pub(super) async fn first(options: &AnyConnectOptions, backend: Backend) -> Result<Option<PathBuf>> {
    let mut connection = open(options).await?;
    connection.execute(settings(backend)).await?;
    let folder = match backend {
        Backend::Sqlite => {
            let file: String =
                sqlx::query_scalar("SELECT COALESCE(file, '') FROM pragma_database_list WHERE name = 'main'")
                    .fetch_one(&mut connection)
                    .await?;
            PathBuf::from(file).parent().map(PathBuf::from)
        }
        Backend::Postgres => None,
    };
    connection.close().await?;
    Ok(folder)
}

/// Opens a connection.
pub(super) async fn open(options: &AnyConnectOptions) -> Result<AnyConnection> {
    match tokio::time::timeout(CONNECT_TIMEOUT, AnyConnection::connect_with(options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(sessions::refused_at_start(&error).unwrap_or_else(|| error.into())),
        Err(_) => Err(CatalogError::Unavailable(sqlx::Error::Io(
            std::io::ErrorKind::TimedOut.into(),
        ))),
    }
}
