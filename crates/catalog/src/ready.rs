//! Whether the database can do its work now, for load balancers and for whoever watches the server.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::{AnyPool, Connection as _};

use super::{Backend, Catalog, CatalogError, Result, condition, connect};

/// How long it may take to get a connection before the reason is looked for.
const POOL_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes that have to fit onto the disk of SQLite: about what its log grows by with the smallest push.
const SPACE: usize = 256 << 10;

impl Catalog {
    /// Whether the database answers, takes changes, and has space for them.
    ///
    /// # Errors
    /// `ReadOnly`, `Full`, or why there is no connection.
    pub async fn ready(&self) -> Result<()> {
        match &self.folder {
            Some(folder) => {
                self.answers().await?;
                has_space(folder.clone()).await
            }
            None => {
                self.require_writable().await?;
                self.require_space().await
            }
        }
    }

    /// The question is asked of the readers, or else of a connection of its own, which says what is wrong.
    async fn answers(&self) -> Result<String> {
        let question = match self.backend {
            Backend::Sqlite => "SELECT 'off'",
            Backend::Postgres => "SELECT current_setting('transaction_read_only')",
        };
        let ask = async |pool: &AnyPool| sqlx::query_scalar(question).fetch_one(pool).await;
        match tokio::time::timeout(POOL_TIMEOUT, ask(&self.reader)).await {
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => {
                let mut connection = connect::open(&self.target.0).await?;
                let answer = sqlx::query_scalar(question).fetch_one(&mut connection).await?;
                let _ = connection.close().await;
                Ok(answer)
            }
            Ok(answer) => Ok(answer?),
        }
    }

    /// Whether the database takes changes. After a failover the sessions of the pools may be read-only although new ones
    /// are not, so they are replaced before that is believed.
    pub(super) async fn require_writable(&self) -> Result<()> {
        if self.answers().await? != "on" {
            return Ok(());
        }
        condition::replace_sessions();
        if self.answers().await? != "on" {
            return Ok(());
        }
        Err(CatalogError::ReadOnly("transaction_read_only is on".into()))
    }

    /// Whether there is space again, if there was none when it was last needed. PostgreSQL's disk can only be asked by
    /// writing.
    async fn require_space(&self) -> Result<()> {
        if !condition::is_full() {
            return Ok(());
        }
        let mut tx = self.writer.begin().await?;
        let filled = sqlx::query(
            "CREATE TEMPORARY TABLE niks3_space ON COMMIT DROP AS \
             SELECT md5(CAST(n AS TEXT)) AS filler FROM generate_series(1, 4000) AS n",
        )
        .execute(&mut *tx)
        .await;
        tx.rollback().await?;
        match filled.map_err(CatalogError::from) {
            // Who may not make temporary tables finds out by the next push.
            Ok(_) | Err(CatalogError::Denied(_)) => {}
            Err(error) => return Err(error),
        }
        condition::found_space();
        Ok(())
    }
}

/// Whether a file of a few pages fits into a folder.
async fn has_space(folder: PathBuf) -> Result<()> {
    let written = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder)?.write_all(&[0; SPACE]));
    Ok(written.await.map_err(std::io::Error::other)??)
}
