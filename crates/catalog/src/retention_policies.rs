//! Which retention policies garbage collections have gone by, which servers have which, and which pull requests are open.

use super::{Catalog, Result, WriteTx, now};

/// A policy that a garbage collection has gone by.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RetentionPolicy {
    /// SHA-256 of its text, in hexadecimal.
    pub hash: String,
    /// Its text.
    pub text: String,
    /// Unix time.
    pub first_used_at: i64,
}

/// The open pull requests of a repository.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OpenPullsRow {
    /// Who keeps the repository.
    pub provider: String,
    /// The number that the repository keeps when it is renamed.
    pub repository: String,
    /// Their numbers, as JSON.
    pub numbers: String,
    /// Unix time at which the list was true.
    pub listed_at: i64,
}

/// Seconds without a sign of life after which a server counts as stopped.
const SERVER_LEASE: i64 = 60;

impl Catalog {
    /// The policy of the last garbage collection that was not held; `None` before the first.
    pub async fn retention_policy(&self) -> Result<Option<RetentionPolicy>> {
        let row = sqlx::query_as(
            "SELECT p.hash, p.text, p.first_used_at FROM retention_policies p JOIN retention_state s ON s.policy = p.hash",
        )
        .fetch_optional(&self.reader)
        .await?;
        Ok(row)
    }

    /// Says that a server runs that has this policy.
    pub async fn retention_server_lives(&self, instance: &str, policy: &str) -> Result<()> {
        let now = now();
        sqlx::query(
            "INSERT INTO retention_servers (instance, policy, seen_at) VALUES ($1, $2, $3) \
             ON CONFLICT (instance) DO UPDATE SET seen_at = excluded.seen_at",
        )
        .bind(instance.to_owned())
        .bind(policy.to_owned())
        .bind(now)
        .execute(&self.writer)
        .await?;
        sqlx::query("DELETE FROM retention_servers WHERE seen_at <= $1")
            .bind(now - SERVER_LEASE)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Says that a server has stopped.
    pub async fn retention_server_stopped(&self, instance: &str) -> Result<()> {
        sqlx::query("DELETE FROM retention_servers WHERE instance = $1")
            .bind(instance.to_owned())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Hashes of the policies of the other servers that run.
    pub async fn policies_of_other_servers(&self, instance: &str) -> Result<Vec<String>> {
        let rows = sqlx::query_scalar(
            "SELECT DISTINCT policy FROM retention_servers WHERE instance <> $1 AND seen_at > $2 ORDER BY policy",
        )
        .bind(instance.to_owned())
        .bind(now() - SERVER_LEASE)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// The newest list of each repository.
    pub async fn open_pulls(&self) -> Result<Vec<OpenPullsRow>> {
        let rows = sqlx::query_as(
            "SELECT provider, repository, numbers, listed_at FROM open_pulls ORDER BY provider, repository",
        )
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }
}

impl WriteTx {
    /// Puts a policy in force.
    pub async fn use_retention_policy(&mut self, hash: &str, text: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO retention_policies (hash, text, first_used_at) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING",
        )
        .bind(hash.to_owned())
        .bind(text.to_owned())
        .bind(now())
        .execute(&mut *self.tx)
        .await?;
        sqlx::query("UPDATE retention_state SET policy = $1 WHERE id = 1")
            .bind(hash.to_owned())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// How many repositories have a list, besides one.
    pub async fn other_open_pulls(&mut self, provider: &str, repository: &str) -> Result<i64> {
        Ok(sqlx::query_scalar(
            "SELECT COUNT(*) FROM open_pulls WHERE NOT (provider = $1 AND repository = $2)",
        )
        .bind(provider.to_owned())
        .bind(repository.to_owned())
        .fetch_one(&mut *self.tx)
        .await?)
    }

    /// Keeps a list of open pull requests unless a newer one is there; whether it is kept.
    pub async fn set_open_pulls(&mut self, list: &OpenPullsRow) -> Result<bool> {
        let done = sqlx::query(
            "INSERT INTO open_pulls (provider, repository, numbers, listed_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (provider, repository) DO UPDATE SET numbers = excluded.numbers, listed_at = excluded.listed_at \
             WHERE open_pulls.listed_at <= excluded.listed_at",
        )
        .bind(list.provider.clone())
        .bind(list.repository.clone())
        .bind(list.numbers.clone())
        .bind(list.listed_at)
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected() > 0)
    }
}
