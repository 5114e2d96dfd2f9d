//! What the object store lets this server do, which is tried at the start.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::catalog::{Catalog, StoreProbe};
use crate::start_error::StartError;
use crate::start_retry::{is_passing, wait_for};
use crate::storage::{Bucket, ChecksumKind, ServiceIdentity, VERSIONED, Versioning};

/// Seconds for which what was found is believed: somebody may change a policy, or the service, without its name.
const KEPT_SECONDS: i64 = 24 * 3600;

const SHA256: &str = "sha256";
const MD5: &str = "md5";

/// What uploads are checked by, and what is to be kept of it.
#[derive(Debug)]
pub(crate) struct StoreRights {
    /// What uploads are checked by.
    pub checksum: ChecksumKind,
    found: Option<StoreProbe>,
}

/// Tries what a cache needs, unless the database knows. `kind` is what the options say that uploads are checked by.
///
/// # Errors
/// When something is missing without which there is no cache.
pub(crate) async fn probe(
    catalog: &Catalog,
    bucket: &Bucket,
    kind: Option<ChecksumKind>,
    limit: Duration,
) -> Result<StoreRights, StartError> {
    let Some(service) = bucket.service_identity().await else {
        let checksum = kind.unwrap_or(ChecksumKind::Sha256);
        return Ok(StoreRights {
            checksum,
            found: None,
        });
    };
    if let Some(checksum) = kept(catalog, &service, kind).await? {
        return Ok(StoreRights {
            checksum,
            found: None,
        });
    }
    let rights = wait_for(
        "the object store",
        limit,
        async || bucket.probe_rights(kind).await,
        is_passing,
    )
    .await?;
    let missing = rights.missing_required();
    if !missing.is_empty() {
        return Err(StartError::Failed(bucket.mend_rights(&missing)));
    }
    // Whoever names the kind has been told what it means when it is not enforced.
    let checksum = rights.checksum.or(kind).ok_or_else(|| {
        StartError::Failed(
            "the object store takes uploads whose bytes do not fit their checksum, so nothing it has can be trusted"
                .into(),
        )
    })?;
    if let Some(warning) = rights.warning() {
        tracing::warn!(
            "the object store at {}, bucket {}: {warning}",
            service.endpoint,
            service.bucket
        );
    }
    let found = rights.is_complete().then(|| StoreProbe {
        endpoint: service.endpoint,
        bucket: service.bucket,
        service: service.name,
        identity: service.access_key,
        checksum: match checksum {
            ChecksumKind::Sha256 => SHA256,
            ChecksumKind::Md5 => MD5,
        }
        .into(),
    });
    Ok(StoreRights { checksum, found })
}

/// Looks what the bucket does with what is deleted.
///
/// # Errors
/// When it lets nothing be deleted for good.
pub(crate) async fn check_versions(
    bucket: &Bucket,
    delete_versions: bool,
    limit: Duration,
) -> Result<(), StartError> {
    let versioning = wait_for(
        "the object store",
        limit,
        async || bucket.versioning().await,
        is_passing,
    )
    .await?;
    let expires = match versioning {
        Versioning::Off | Versioning::Suspended => return Ok(()),
        Versioning::Unknown(why) => {
            tracing::info!("whether the bucket is versioned is not known: {why}");
            return Ok(());
        }
        Versioning::Enabled { expires } => expires,
    };
    if let Some(retention) = bucket.default_retention().await {
        return Err(StartError::Failed(format!(
            "--s3-bucket: the bucket has a default retention ({retention}), so that no garbage collection could free \
             anything before that: remove the default retention of its object lock, or use another bucket"
        )));
    }
    if !delete_versions && !expires {
        tracing::warn!("{VERSIONED}");
    }
    Ok(())
}

/// What the database says of this service, these credentials and this kind.
async fn kept(
    catalog: &Catalog,
    service: &ServiceIdentity,
    kind: Option<ChecksumKind>,
) -> Result<Option<ChecksumKind>, StartError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = i64::try_from(now.as_secs()).unwrap_or_default() - KEPT_SECONDS;
    let probe = catalog
        .store_probe(&service.endpoint, &service.bucket, since)
        .await?;
    let same = probe.filter(|probe| probe.service == service.name && probe.identity == service.access_key);
    let checksum = same.and_then(|probe| match probe.checksum.as_str() {
        SHA256 => Some(ChecksumKind::Sha256),
        MD5 => Some(ChecksumKind::Md5),
        _ => None,
    });
    Ok(checksum.filter(|checksum| kind.is_none_or(|kind| kind == *checksum)))
}

impl StoreRights {
    /// Keeps what was found, if nothing is missing. Only after the bucket is known to be this database's: writing raises
    /// the generation.
    ///
    /// # Errors
    /// When the database does not let it.
    pub(crate) async fn keep(&self, catalog: &Catalog) -> Result<(), StartError> {
        let Some(found) = &self.found else { return Ok(()) };
        let mut tx = catalog.write().await?;
        tx.keep_store_probe(found).await?;
        tx.commit().await?;
        Ok(())
    }
}
