//! What can go wrong with the database, sorted by what the caller should do.

use niks3_base::error::Error;

use super::condition;

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
    /// A version from before the first release made the schema; this one does not upgrade it.
    #[error(
        "the schema of the database is of a niks3-server from before the first release; the last commit that reads it \
         is fecee6b. Start with an empty database and --adopt-bucket, and let `niks3 fsck --repair` read the bucket"
    )]
    Unreleased,
    /// The schema does not fit this program.
    #[error("database schema: {0}")]
    Schema(#[source] sqlx::migrate::MigrateError),
    /// The database does not answer now; the same call may work later.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The database is not where the URL says, or nothing more can be opened now.
    #[error("the database cannot be opened: {0}")]
    CannotOpen(#[source] sqlx::Error),
    /// The database takes no changes, as a standby does.
    #[error("the database is read-only, as a standby is: {0}")]
    ReadOnly(String),
    /// The database does not let the server in, or not do this; somebody has to change that.
    #[error("the database denies access: {}", words(.0))]
    Denied(#[source] sqlx::Error),
    /// The database has no room left.
    #[error("the database has no space left: {0}")]
    Full(#[source] sqlx::Error),
    /// Transactions that the database had confirmed are gone.
    #[error("the database has lost transactions that it had confirmed, as after a failover")]
    WentBack,
    /// The push that the work was for is not known any more.
    #[error("the database has forgotten the push")]
    PushGone,
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

/// What the database itself says, without the place in its source text.
fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(said) => said.message().to_owned(),
        error => error.to_string(),
    }
}

impl From<CatalogError> for Error {
    fn from(error: CatalogError) -> Self {
        match &error {
            CatalogError::Unavailable(_) | CatalogError::CannotOpen(_) => {
                Self::unavailable("the database does not answer", 2).with_cause(error)
            }
            CatalogError::ReadOnly(_) => {
                Self::unavailable("the database is read-only, as a standby is", 5).with_cause(error)
            }
            CatalogError::PushGone => Self::push_gone("the push is not known any more: begin again"),
            CatalogError::Denied(_) => {
                Self::unavailable("the database does not let the server in", 60).with_cause(error)
            }
            CatalogError::Full(_) => {
                Self::unavailable("the database has no space left", 60).with_cause(error)
            }
            CatalogError::WentBack => {
                Self::unavailable("the database has lost transactions: try again", 1).with_cause(error)
            }
            CatalogError::NameMismatch(detail) => Self::invalid("path", detail.clone()),
            _ => Self::internal(error),
        }
    }
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

impl From<std::io::Error> for CatalogError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as E;
        let kind = error.kind();
        let error = sqlx::Error::Io(error);
        match kind {
            E::StorageFull | E::QuotaExceeded => Self::Full(error),
            E::PermissionDenied | E::ReadOnlyFilesystem => Self::Denied(error),
            _ => Self::Unavailable(error),
        }
    }
}

impl From<sqlx::Error> for CatalogError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let error = match error {
            // What a column holds is no value of its type.
            E::ColumnDecode { index, source } => match source.downcast::<Self>() {
                Ok(corrupt) => return *corrupt,
                Err(source) => E::ColumnDecode { index, source },
            },
            error => error,
        };
        let kind = match &error {
            E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Tls(_) | E::Protocol(_) => {
                Kind::Unavailable
            }
            E::Database(database) => {
                let code = database.code().unwrap_or_default();
                if condition::ends_session(&code) {
                    condition::replace_sessions();
                }
                kind(&code)
            }
            _ => Kind::Other,
        };
        if kind == Kind::Full {
            condition::found_full();
        }
        match kind {
            Kind::ReadOnly => Self::ReadOnly(error.to_string()),
            Kind::Unavailable => Self::Unavailable(error),
            Kind::CannotOpen => Self::CannotOpen(error),
            Kind::Denied => Self::Denied(error),
            Kind::Full => Self::Full(error),
            Kind::Other => Self::Other(error),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unavailable,
    CannotOpen,
    ReadOnly,
    Denied,
    Full,
    Other,
}

/// What a code means: five characters from PostgreSQL, a shorter number from SQLite.
fn kind(code: &str) -> Kind {
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => of_sqlite(number),
        _ => of_postgres(code),
    }
}

/// <https://www.sqlite.org/rescode.html>
fn of_sqlite(code: u32) -> Kind {
    // An extended code has the primary one in its lowest byte.
    match code & 0xff {
        // BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, PROTOCOL.
        5 | 6 | 7 | 9 | 10 | 15 => Kind::Unavailable,
        // PERM, READONLY, AUTH.
        3 | 8 | 23 => Kind::Denied,
        13 => Kind::Full,
        14 => Kind::CannotOpen,
        _ => Kind::Other,
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn of_postgres(code: &str) -> Kind {
    match code {
        "53100" => Kind::Full,
        "25006" => Kind::ReadOnly,
        // A transaction that was idle, or went on, for too long.
        "25P03" | "25P04" => Kind::Unavailable,
        // Insufficient privilege.
        "42501" => Kind::Denied,
        code => match code.get(..2) {
            // Connection exceptions, insufficient resources, operator intervention, system errors,
            // lock and serialization failures.
            Some("08" | "53" | "57" | "58" | "40" | "55") => Kind::Unavailable,
            // Invalid authorization, invalid catalog name, invalid schema name: no right to use the schema.
            Some("28" | "3D" | "3F") => Kind::Denied,
            _ => Kind::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_database_means_what_a_caller_can_do() {
        for (expected, codes) in [
            (
                Kind::Unavailable,
                // SQLite: with the extended codes of a disk that fails to read, sync, write and lock.
                &[
                    "5", "261", "517", "6", "262", "7", "9", "10", "266", "522", "778", "1034", "3850", "15",
                    // PostgreSQL.
                    "08006", "25P03", "40001", "40P01", "53300", "55P03", "57014", "57P01", "57P03", "58030",
                ] as &[&str],
            ),
            (Kind::ReadOnly, &["25006"]),
            (Kind::Full, &["13", "53100"]),
            (Kind::CannotOpen, &["14", "270", "526", "782"]),
            (
                Kind::Denied,
                &[
                    "3", "8", "1032", "1544", "23", "28000", "28P01", "3D000", "3F000", "42501",
                ],
            ),
            (
                Kind::Other,
                &[
                    "1",
                    "11",
                    "19",
                    "787",
                    "1555",
                    "2067",
                    "23505",
                    "22P05",
                    "42P01",
                    "XX000",
                    "00014",
                    "",
                    "\u{e4}\u{e4}",
                    "x",
                ],
            ),
        ] {
            for code in codes {
                assert_eq!(kind(code), expected, "{code:?}");
            }
        }
    }
}
