//! All SQL of the server, over SQLite and PostgreSQL alike.
//!
//! One text serves both databases wherever they agree; [`in_clause`] writes the lists
//! that neither has a common form for. Every transaction that moves the state of
//! a path, an object or a push goes through [`Catalog::write`], which admits one
//! at a time per database: what it decides on cannot change under it, and no two
//! of them can deadlock whatever the order of their rows.

mod browse;
mod cache_stats;
mod checks;
mod closure_sizes;
mod closures;
mod columns;
mod commits;
mod condition;
mod connect;
mod cycles;
mod debug_infos;
mod decisions;
mod differences;
mod error;
mod findings;
mod foreign;
mod gc_closures;
mod gc_transitions;
mod ids;
mod imports;
mod in_clause;
mod logs;
mod marking;
mod missing_objects;
mod multiparts;
mod objects;
mod ownership;
mod path_columns;
mod paths;
mod pins;
mod publications;
mod publish;
mod pushes;
mod query_filter;
mod ready;
mod realisations;
mod releases;
mod replacements;
mod retention;
mod retention_policies;
mod runs;
mod sessions;
mod short_leases;
mod signatures;
mod slices;
#[cfg(debug_assertions)]
mod statement_coverage;
mod states;
mod store_probes;
mod tasks;
mod tokens;
mod uses;
mod verifications;

use std::panic::Location;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use niks3_base::metrics::metrics;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, ConnectOptions as _, Connection as _, Executor as _, Transaction};

pub use browse::{Found, Member, Members};
pub use cache_stats::{CacheCounts, PastCounts, Pool, Stored};
pub use checks::{Adopted, CheckedObject, CheckedPath, CheckedPin, HashStatus, ReferenceStatus, User};
pub use closure_sizes::ClosureSize;
pub use closures::{ClosureRow, ClosureSummary};
pub use commits::{CommitAttempt, CommitBegin, CommitStatus};
pub use cycles::SeenReferences;
pub use decisions::Owned;
pub use differences::{Differing, PushRank, ReferencesOfOneSide, Tied, missing_from};
pub use error::CatalogError;
pub use findings::{FindingCount, FindingRow, FindingState, NewFinding};
pub use gc_closures::GcClosure;
pub use gc_transitions::{Collected, CollectedId, DoomedObject, DoomedPath};
pub use ids::{
    ClosureId, DirtyId, FindingId, MultipartId, ObjectId, PathId, PushId, ReplacementId, RunId, TaskId,
};
pub use imports::{ImportedClosure, ImportedPin, WaitingRoots};
pub use marking::{LivePush, LogNode, ObjectNode, OldClosure, PathNode};
pub use multiparts::{Announced, Multipart, MultipartState, PartRow};
pub use objects::{ArrivedObject, NewLog, NewObject, ObjectRow, UploadedNar};
pub use ownership::OwnershipRow;
pub use paths::{Claim, ClaimKind, Claimed, PathMeta, claimed_names};
pub use pins::{NameTaken, Pin, PinTurn, PinWrite, PinnedAs};
pub use publications::{Finish, Finishing};
pub use publish::{CommitClaim, Publishable, Realised, StagedLog};
pub use pushes::{NewPush, Push, PushState, UncommittedClaim};
pub use releases::{Release, Releasing};
pub use replacements::{KeptContents, Replaced, Replacement};
pub use retention::{JudgedClosure, JudgedLink, JudgedRun};
pub use retention_policies::{OpenPullsRow, RetentionPolicy};
pub use runs::{NewRun, RunCompletion, RunFacts, RunFilter, RunRow};
pub use signatures::NewSignatures;
pub use slices::{SLICE_MARKS, SLICE_REFERENCES, SLICE_ROWS, claim_slices, slices};
pub use store_probes::StoreProbe;
pub use tasks::{NewTask, TaskKind, TaskRow, TaskState};
pub use tokens::{NewToken, TokenRow};
pub use uses::UsedPaths;
pub use verifications::{DoubtfulNar, KeptListing, NewVerification};

/// Result of a question to the database.
pub type Result<T> = std::result::Result<T, CatalogError>;

/// Key of PostgreSQL's advisory lock that admits one writing transaction at a time.
const WRITE_GATE: i64 = 0x6e69_6b73_3300_0001;

/// How long a transaction waits for its turn before the caller is told to come back.
const WRITE_WAIT: Duration = Duration::from_secs(30);

/// A writing transaction that is longer than this is in the log: no other can begin meanwhile.
const LONG_WRITE: Duration = Duration::from_secs(1);

/// A URL of PostgreSQL with the folder of its socket in `host=`, as libpq takes it: URLs in general need a name before
/// that.
#[must_use]
pub fn local_postgres_url(url: &str) -> String {
    match url::Url::parse(url) {
        Err(url::ParseError::EmptyHost) => url.replacen("@/", "@localhost/", 1),
        _ => url.to_owned(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    /// No bytes, as a literal.
    fn empty_bytes(self) -> &'static str {
        match self {
            Self::Sqlite => "x''",
            Self::Postgres => "''::bytea",
        }
    }
}

/// The database.
#[derive(Debug, Clone)]
pub struct Catalog {
    reader: AnyPool,
    /// For single statements that change what no transaction decides on.
    writer: AnyPool,
    /// For writing transactions, which wait for each other: those that wait keep none of the
    /// connections that everything else needs.
    write_pool: AnyPool,
    backend: Backend,
    /// Where SQLite's file is.
    folder: Option<PathBuf>,
    target: connect::Target,
    observed: ownership::Observed,
}

/// A transaction that may write; dropped without [`WriteTx::commit`] it leaves nothing.
pub struct WriteTx {
    tx: Transaction<'static, Any>,
    /// None for one that only reads.
    held: Option<Held>,
    /// Of the push that the transaction changes, what its rows are marked with.
    revision: i64,
    backend: Backend,
    observed: ownership::Observed,
}

impl WriteTx {
    /// Makes everything done in the transaction durable and visible at once.
    pub async fn commit(self) -> Result<()> {
        let Self {
            tx, held, observed, ..
        } = self;
        let done = observed.commit(tx).await;
        drop(held);
        done
    }
}

/// Measures for how long a writing transaction keeps all others waiting.
struct Held {
    since: Instant,
    by: &'static Location<'static>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let held = self.since.elapsed();
        metrics().write_held(held);
        if held > LONG_WRITE {
            let by = format!("{}:{}", self.by.file(), self.by.line());
            tracing::warn!(seconds = held.as_secs_f64(), by, "a writing transaction was long");
        }
    }
}

impl Catalog {
    /// Opens `sqlite://…` or `postgres://…` and brings its schema up to date.
    ///
    /// # Errors
    /// When the URL is of another kind, the database does not answer, or its
    /// schema is newer than this program.
    pub async fn open(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let backend = match url.split_once(':') {
            Some(("sqlite", _)) => Backend::Sqlite,
            Some(("postgres" | "postgresql", _)) => Backend::Postgres,
            _ => {
                return Err(CatalogError::Url(
                    "expected sqlite:///path or postgres://…".into(),
                ));
            }
        };
        let url = match backend {
            Backend::Sqlite if !url.contains('?') => format!("{url}?mode=rwc"),
            Backend::Sqlite => url.to_owned(),
            Backend::Postgres => local_postgres_url(url),
        };
        connect::refuse_missing_files(backend, &url)?;
        let options = AnyConnectOptions::from_str(&url)
            .map_err(|_| CatalogError::Url("not a database URL".into()))?
            .disable_statement_logging();
        // A pool would say that it has waited for too long, whatever the reason is.
        let folder = connect::first(&options, backend).await?;
        let target = connect::Target(options.clone());
        let observed = ownership::Observed::default();
        let pool = |size: u32| {
            let observed = observed.clone();
            AnyPoolOptions::new()
                .max_connections(size)
                .acquire_timeout(WRITE_WAIT)
                // A full disk ends SQLite's transactions without being asked, which sqlx does
                // not notice: nothing could be begun on this connection any more.
                .before_acquire(|connection, metadata| {
                    let usable = !connection.is_in_transaction() && condition::is_current(metadata.age);
                    Box::pin(async move { Ok(usable) })
                })
                .after_connect(move |connection, _| {
                    observed.connected();
                    Box::pin(async move { connection.execute(connect::settings(backend)).await.map(drop) })
                })
        };
        let catalog = match backend {
            // SQLite has one writer; one connection for it queues writers fairly
            // instead of letting them poll for the lock.
            Backend::Sqlite => {
                let write_pool = pool(1).connect_with(options.clone()).await?;
                Self {
                    writer: write_pool.clone(),
                    write_pool,
                    reader: pool(4).connect_with(options).await?,
                    backend,
                    folder,
                    target,
                    observed,
                }
            }
            // Ten connections together: as many servers as may share a database leave room in
            // the hundred that PostgreSQL has. With two of them the next transaction of this
            // process is there when one ends; the others wait inside the process, in order.
            Backend::Postgres => {
                let write_pool = pool(2).connect_with(options.clone()).await?;
                let reader = pool(8).connect_with(options).await?;
                sessions::require(&mut *write_pool.acquire().await?, &mut *reader.acquire().await?).await?;
                Self {
                    writer: reader.clone(),
                    reader,
                    write_pool,
                    backend,
                    folder,
                    target,
                    observed,
                }
            }
        };
        // Before anything is written, so that it is said which of two things is wrong.
        catalog.require_writable().await?;
        if backend == Backend::Postgres {
            sessions::require_commits(&mut *catalog.write_pool.acquire().await?).await?;
        }
        catalog.migrate().await?;
        Ok(catalog)
    }

    /// Brings the schema up to date.
    async fn migrate(&self) -> Result<()> {
        let migrator = match self.backend {
            Backend::Sqlite => sqlx::migrate!("../../migrations/sqlite"),
            Backend::Postgres => sqlx::migrate!("../../migrations/postgres"),
        };
        foreign::refuse_others(&self.write_pool, self.backend, &migrator).await?;
        let Err(error) = migrator.run(&self.write_pool).await else {
            return Ok(());
        };
        // Schemas from before the first release have migrations that this program lacks, too: what tells them from
        // newer ones is their first.
        let first = migrator.iter().find(|migration| migration.version == 1);
        let applied =
            sqlx::query_scalar::<_, Vec<u8>>("SELECT checksum FROM _sqlx_migrations WHERE version = 1")
                .fetch_optional(&self.write_pool)
                .await
                .ok()
                .flatten();
        match (first, applied) {
            (Some(ours), Some(theirs)) if *ours.checksum != *theirs => Err(CatalogError::Unreleased),
            _ => Err(error.into()),
        }
    }

    /// Begins a transaction that may write, when its turn comes. Those that are long appear in the log
    /// with the place of this call.
    #[track_caller]
    pub fn write(&self) -> impl Future<Output = Result<WriteTx>> + Send + '_ {
        self.write_for(Location::caller())
    }

    /// The same for a caller that begins it for somebody else.
    pub async fn write_for(&self, by: &'static Location<'static>) -> Result<WriteTx> {
        let asked = Instant::now();
        let tx = match self.backend {
            Backend::Sqlite => self.write_pool.begin_with("BEGIN IMMEDIATE").await?,
            Backend::Postgres => {
                let mut tx = self.write_pool.begin().await?;
                // What the wait for a connection has left of the time.
                let left = WRITE_WAIT.saturating_sub(asked.elapsed()).as_millis().max(1000);
                sqlx::query("SELECT set_config('lock_timeout', $2, true), pg_advisory_xact_lock($1)")
                    .bind(WRITE_GATE)
                    .bind(left.to_string())
                    .execute(&mut *tx)
                    .await?;
                tx
            }
        };
        metrics().write_waited(asked.elapsed());
        let held = Some(Held {
            since: Instant::now(),
            by,
        });
        Ok(WriteTx {
            tx,
            held,
            revision: 0,
            backend: self.backend,
            observed: self.observed.clone(),
        })
    }

    /// A transaction for the same questions as inside one that writes, for which nobody waits: what it
    /// sees may change at once.
    pub async fn look(&self) -> Result<WriteTx> {
        Ok(WriteTx {
            tx: self.reader.begin().await?,
            held: None,
            revision: 0,
            backend: self.backend,
            observed: self.observed.clone(),
        })
    }

    /// Unix time by the clock of the database, where that is another machine's.
    pub async fn clock(&self) -> Result<Option<i64>> {
        if self.backend == Backend::Sqlite {
            return Ok(None);
        }
        let time = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)";
        Ok(Some(sqlx::query_scalar(time).fetch_one(&self.reader).await?))
    }

    /// Closes every connection once its work is done.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
        self.write_pool.close().await;
    }
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    chrono::Utc::now().timestamp()
}
