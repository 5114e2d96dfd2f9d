//! The start of a server: whose the bucket is, and taking it over.
//!
//! A database that takes over a bucket gets a new id. So an id in `--adopt-bucket` names an owner that there was once:
//! the option has no effect a second time, and two units that name each other cannot take a bucket back and forth.

use std::time::{Duration, Instant};

use niks3_catalog::{Catalog, OwnershipRow};
use niks3_nix::store_path::StoreDir;
use niks3_storage::{Bucket, ConditionalWrite, ObjectKey, StorageError};

use super::REPAIR;
use super::object::{LAYOUT, OwnerObject, Stored, has_narinfos};
use crate::start_error::StartError;

/// How long a server waits before it believes that nobody else has claimed the bucket, at services that do not
/// enforce conditions.
const SETTLE: Duration = Duration::from_secs(2);
/// How often a claim is begun again because somebody else has written the owner object.
const ATTEMPTS: usize = 10;
/// Bytes of a `nix-cache-info`.
const MAX_CACHE_INFO: usize = 64 << 10;

/// Whom a server takes a bucket over from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopt {
    /// From nobody: the bucket has no owner.
    Unowned,
    /// From the database of that id.
    From(String),
}

impl Adopt {
    /// Reads the value of the option.
    ///
    /// # Errors
    /// When it is neither `none` nor an id.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::Unowned),
            id if id.len() == ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Ok(Self::From(id.to_owned()))
            }
            _ => Err(format!(
                "{text:?} is no id of a database: it has {ID_LENGTH} letters and digits, and the server that refuses \
                 to start names it; `none` takes over a bucket without owner"
            )),
        }
    }
}

/// Characters of an id.
const ID_LENGTH: usize = 32;

fn new_id() -> String {
    niks3_nix::base32::encode(&rand::random::<[u8; 20]>())
}

/// What a server starts with.
struct Claimant<'a> {
    catalog: &'a Catalog,
    bucket: &'a Bucket,
    store_dir: &'a StoreDir,
    adopt: Option<&'a Adopt>,
}

/// The bucket belongs to the database: what was seen of that.
#[derive(Debug)]
pub struct Claimed {
    /// Connections to the database that had been opened before.
    pub(super) connections: u64,
    pub(super) row: OwnershipRow,
}

/// Finds that the bucket belongs to the database, or claims it.
///
/// # Errors
/// When it belongs to another, or database or bucket do not answer.
pub async fn claim(
    catalog: &Catalog,
    bucket: &Bucket,
    store_dir: &StoreDir,
    adopt: Option<&Adopt>,
) -> Result<Claimed, StartError> {
    let mut tx = catalog.write().await?;
    tx.name_database(&new_id()).await?;
    tx.commit().await?;
    let claimant = Claimant {
        catalog,
        bucket,
        store_dir,
        adopt,
    };
    for _ in 0..ATTEMPTS {
        let connections = catalog.connections();
        if claimant.attempt().await? {
            let row = catalog.ownership().await?;
            return Ok(Claimed { connections, row });
        }
    }
    Err(StartError::Failed(format!(
        "the object store: {} is being written by others all the time",
        ObjectKey::owner().as_str()
    )))
}

impl Claimant<'_> {
    /// True when the bucket belongs to the database, false when that has to be looked at again.
    async fn attempt(&self) -> Result<bool, StartError> {
        let looked_at = Instant::now();
        let stored = OwnerObject::read(self.bucket).await?.map_err(StartError::Usage)?;
        let row = self.catalog.ownership().await?;
        match stored {
            None => self.unowned(&row, looked_at).await,
            Some(stored) if row.is_named(&stored.object.database) => self.named(&row, stored).await,
            Some(stored) => self.others(&row, stored).await,
        }
    }

    async fn unowned(&self, row: &OwnershipRow, looked_at: Instant) -> Result<bool, StartError> {
        let adopts = self.adopt == Some(&Adopt::Unowned);
        let has_paths = has_narinfos(self.bucket).await?;
        if !adopts && !row.bucket_id.is_empty() {
            return Err(StartError::Usage(format!(
                "the database belongs to another bucket (id {}), and this bucket has no owner: are --db, --data-dir and \
                 --s3-bucket right? If that bucket is lost, or this one is a copy of it without {}, start with \
                 --adopt-bucket=none, then {REPAIR}",
                row.bucket_id,
                ObjectKey::owner().as_str()
            )));
        }
        if !adopts && has_paths {
            return Err(StartError::Usage(format!(
                "the bucket has store paths, but no owner, and {}: to take it over, start with --adopt-bucket=none, then {REPAIR}",
                self.described().await?
            )));
        }
        if has_paths {
            self.same_store().await?;
        }
        if looked_at.elapsed() > SETTLE / 2 {
            // Somebody else may have claimed it, and already believe so.
            let stored = OwnerObject::read(self.bucket).await?;
            if !matches!(stored, Ok(None)) {
                return Ok(false);
            }
        }
        let new = self.object(row, new_id(), 0);
        if adopts {
            let new = OwnerObject {
                database: self.begin_takeover().await?,
                ..new
            };
            return self.take(&new, None, has_paths).await;
        }
        if !self.written(&new, None).await? {
            return Ok(false);
        }
        let mut tx = self.catalog.write().await?;
        tx.belong_to_first(&new.bucket).await?;
        tx.commit().await?;
        tracing::info!(
            database = new.database,
            bucket = new.bucket,
            "the bucket is claimed"
        );
        // Another server of the same database may have claimed another bucket.
        Ok(false)
    }

    /// The bucket names this database.
    async fn named(&self, row: &OwnershipRow, stored: Stored) -> Result<bool, StartError> {
        let object = &stored.object;
        if object.database == row.claim_id {
            // A takeover that was cut off, or another server of this database is at it.
            self.finish_takeover(object, true).await?;
            return Ok(true);
        }
        if row.bucket_id.is_empty() {
            let mut tx = self.catalog.write().await?;
            tx.belong_to_first(&object.bucket).await?;
            tx.commit().await?;
            return Ok(false);
        }
        if row.bucket_id != object.bucket {
            if self.adopts(&object.database) {
                return self.take_over(row, stored).await;
            }
            return Err(StartError::Usage(format!(
                "the database belongs to another bucket (id {}), not to this one (id {}): are --db, --data-dir and \
                 --s3-bucket right? If the other bucket is lost, start with --adopt-bucket={}, then {REPAIR}",
                row.bucket_id, object.bucket, object.database
            )));
        }
        if let Some(Adopt::From(id)) = self.adopt {
            tracing::info!(
                id,
                "--adopt-bucket has no effect: the bucket belongs to this database"
            );
        }
        if object.store_dir != self.store_dir.as_str() {
            return self.change_store(stored).await;
        }
        Ok(true)
    }

    /// The bucket names another database.
    async fn others(&self, row: &OwnershipRow, stored: Stored) -> Result<bool, StartError> {
        let owner = &stored.object.database;
        if self.adopts(owner) {
            return self.take_over(row, stored).await;
        }
        let named = match self.adopt {
            None => String::new(),
            Some(Adopt::Unowned) => ", though --adopt-bucket=none says that it has no owner".to_owned(),
            Some(Adopt::From(id)) => format!(", not to {id}, which --adopt-bucket names"),
        };
        Err(StartError::Usage(format!(
            "the bucket belongs to another database (id {owner}){named}, and {}: servers with different databases \
             delete each other's objects. If this database is to replace the other one, stop the other server and start \
             this one with --adopt-bucket={owner}, then {REPAIR}",
            self.described().await?
        )))
    }

    fn adopts(&self, owner: &str) -> bool {
        matches!(self.adopt, Some(Adopt::From(id)) if id == owner)
    }

    async fn described(&self) -> Result<&'static str, StartError> {
        Ok(match self.catalog.is_empty().await? {
            true => "this database is empty (is --db right?)",
            false => "this database has paths of its own",
        })
    }

    fn object(&self, row: &OwnershipRow, bucket: String, generation: i64) -> OwnerObject {
        OwnerObject {
            layout: LAYOUT,
            database: row.database_id.clone(),
            bucket,
            store_dir: self.store_dir.to_string(),
            generation: generation.max(row.generation),
        }
    }

    async fn begin_takeover(&self) -> Result<String, StartError> {
        let mut tx = self.catalog.write().await?;
        let id = tx.begin_takeover(&new_id()).await?;
        tx.commit().await?;
        Ok(id)
    }

    async fn take_over(&self, row: &OwnershipRow, stored: Stored) -> Result<bool, StartError> {
        let has_paths = has_narinfos(self.bucket).await?;
        if has_paths {
            same_store_dir(&stored.object.store_dir, self.store_dir)?;
        }
        let database = self.begin_takeover().await?;
        let new = OwnerObject {
            database,
            ..self.object(row, stored.object.bucket, stored.object.generation)
        };
        self.take(&new, Some(stored.etag), has_paths).await
    }

    async fn take(
        &self,
        new: &OwnerObject,
        over: Option<String>,
        has_paths: bool,
    ) -> Result<bool, StartError> {
        if !self.written(new, over).await? {
            return Ok(false);
        }
        let repair = has_paths || !self.catalog.is_empty().await?;
        self.finish_takeover(new, repair).await?;
        tracing::warn!(
            database = new.database,
            bucket = new.bucket,
            "the bucket is taken over"
        );
        Ok(true)
    }

    async fn finish_takeover(&self, object: &OwnerObject, repair: bool) -> Result<(), StartError> {
        let mut tx = self.catalog.write().await?;
        tx.belong_to(&object.database, &object.bucket).await?;
        if repair {
            let reason = format!("this database has taken over the bucket: {REPAIR}");
            tx.require_repair(&reason, object.generation).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Writes the owner object, over the one of an entity tag or where there is none; true when it stayed.
    async fn written(&self, new: &OwnerObject, over: Option<String>) -> Result<bool, StorageError> {
        let write = async || match &over {
            None => new.create(self.bucket).await,
            Some(etag) => new.replace(self.bucket, etag.clone()).await,
        };
        if write().await? == ConditionalWrite::Refused {
            return Ok(false);
        }
        // Where the condition counts, it does not hold a second time.
        if write().await? == ConditionalWrite::Written {
            tokio::time::sleep(SETTLE).await;
        }
        let stored = OwnerObject::read(self.bucket).await?;
        Ok(matches!(stored, Ok(Some(stored)) if stored.object == *new))
    }

    /// Another store directory is an error as soon as the bucket has paths.
    async fn change_store(&self, stored: Stored) -> Result<bool, StartError> {
        if has_narinfos(self.bucket).await? {
            same_store_dir(&stored.object.store_dir, self.store_dir)?;
        }
        let new = OwnerObject {
            store_dir: self.store_dir.to_string(),
            ..stored.object
        };
        new.replace(self.bucket, stored.etag).await?;
        Ok(false)
    }

    /// The same by what readers are told.
    async fn same_store(&self) -> Result<(), StartError> {
        let info = self.bucket.read(&ObjectKey::cache_info(), MAX_CACHE_INFO).await?;
        let info = String::from_utf8(info.unwrap_or_default()).unwrap_or_default();
        match info.lines().find_map(|line| line.strip_prefix("StoreDir:")) {
            Some(found) => same_store_dir(found.trim(), self.store_dir),
            None => Ok(()),
        }
    }
}

fn same_store_dir(found: &str, ours: &StoreDir) -> Result<(), StartError> {
    if found == ours.as_str() {
        return Ok(());
    }
    Err(StartError::Usage(format!(
        "--store-dir: the bucket has paths of {found}, not of {ours}"
    )))
}

/// Why the database does not own the bucket of that owner object, if it does not.
pub(super) fn refusal(object: Option<&OwnerObject>, row: &OwnershipRow) -> Option<String> {
    let Some(object) = object else {
        return Some(format!(
            "{} is gone from the bucket: restore it, or start the server with --adopt-bucket=none",
            ObjectKey::owner().as_str()
        ));
    };
    if !row.is_named(&object.database) {
        return Some(format!(
            "the bucket belongs to another database (id {}) now",
            object.database
        ));
    }
    (object.bucket != row.bucket_id && object.database != row.claim_id).then(|| {
        format!(
            "the database belongs to another bucket (id {}), not to this one (id {})",
            row.bucket_id, object.bucket
        )
    })
}
