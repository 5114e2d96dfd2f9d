//! What can go wrong with the database, sorted by what the caller should do.

/// An error of the database.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The configured URL is unusable.
    #[error("{0}")]
    Url(String),
    /// A newer version of this program made the schema what it is; holds the first migration that this one lacks.
    #[error(
        "the schema of the database is of a newer niks3-server (migration {0} is unknown to {version}): \
         run that version or a later one, or restore the backup made before the upgrade",
        version = env!("CARGO_PKG_VERSION")
    )]
    Newer(i64),
    /// The schema does not fit this program.
    #[error("database schema: {0}")]
    Schema(#[source] sqlx::migrate::MigrateError),
    /// The database does not answer now; the same call may work later.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The database has no room left.
    #[error("the database has no space left: {0}")]
    Full(#[source] sqlx::Error),
    /// Two store paths share a hash part.
    #[error("{0}")]
    NameMismatch(String),
    /// A row says what this program never writes.
    #[error("the database holds {0}")]
    Corrupt(String),
    /// Anything else: a defect of this program.
    #[error("database: {0}")]
    Other(#[source] sqlx::Error),
}

impl From<sqlx::migrate::MigrateError> for CatalogError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as E;
        match error {
            E::VersionMissing(version) => Self::Newer(version),
            error => Self::Schema(error),
        }
    }
}

impl From<sqlx::Error> for CatalogError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let code = match &error {
            E::Database(database) => database.code().map(|code| code.into_owned()),
            _ => None,
        };
        match (&error, code.as_deref()) {
            (
                E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Tls(_) | E::Protocol(_),
                _,
            ) => Self::Unavailable(error),
            // SQLITE_FULL; PostgreSQL disk_full.
            (_, Some("13" | "53100")) => Self::Full(error),
            // SQLITE_BUSY and LOCKED with their extended codes, IOERR.
            (_, Some("5" | "6" | "261" | "517" | "10")) => Self::Unavailable(error),
            // PostgreSQL: connection exceptions, insufficient resources, operator
            // intervention, system errors, lock and serialization failures.
            (_, Some(code))
                if code.len() == 5 && ["08", "53", "57", "58", "40", "55"].contains(&&code[..2]) =>
            {
                Self::Unavailable(error)
            }
            _ => Self::Other(error),
        }
    }
}
