//! What the start of a server has found an object store to do, so that the next ones need not try it.

use super::{Catalog, Result, WriteTx, now};

/// What was found of a bucket in which nothing is missing.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StoreProbe {
    /// Address of the service.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// `Server` header of the service; empty where it has none.
    pub service: String,
    /// Hash of the access key.
    pub identity: String,
    /// By which checksum it checks uploads: `sha256` or `md5`.
    pub checksum: String,
}

impl Catalog {
    /// What was found of a bucket since this Unix time.
    pub async fn store_probe(&self, endpoint: &str, bucket: &str, since: i64) -> Result<Option<StoreProbe>> {
        let found = sqlx::query_as(
            "SELECT endpoint, bucket, service, identity, checksum FROM store_probes \
             WHERE endpoint = $1 AND bucket = $2 AND probed_at >= $3",
        )
        .bind(endpoint.to_owned())
        .bind(bucket.to_owned())
        .bind(since)
        .fetch_optional(&self.reader)
        .await?;
        Ok(found)
    }
}

impl WriteTx {
    /// Keeps what was found now.
    pub async fn keep_store_probe(&mut self, probe: &StoreProbe) -> Result<()> {
        sqlx::query(
            "INSERT INTO store_probes (endpoint, bucket, service, identity, checksum, probed_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (endpoint, bucket) DO UPDATE SET \
             service = excluded.service, identity = excluded.identity, checksum = excluded.checksum, \
             probed_at = excluded.probed_at",
        )
        .bind(probe.endpoint.clone())
        .bind(probe.bucket.clone())
        .bind(probe.service.clone())
        .bind(probe.identity.clone())
        .bind(probe.checksum.clone())
        .bind(now())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}
