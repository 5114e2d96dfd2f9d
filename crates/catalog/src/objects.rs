//! Objects that store paths share, and what a push has uploaded for each path.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use niks3_base::compression::{Codec, Packing};
use niks3_base::push_limits::PART_SIZE;
use niks3_nix::hash::{FileHash, NarHash};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::in_clause::{self, BindAll as _, ROWS};
use super::states::PUSH_OPEN;
use super::{Catalog, CatalogError, ClaimKind, ObjectId, PathId, Push, PushId, Result, WriteTx, now};

/// Announced; it may have arrived, and nobody has looked.
pub(super) const OBJECT_PENDING: i64 = 0;
/// Seen in the bucket.
pub(super) const OBJECT_PRESENT: i64 = 1;
/// Being deleted from the bucket.
pub(super) const OBJECT_DELETING: i64 = 2;

/// An object of the bucket that paths share: a NAR.
#[derive(Debug, Clone)]
pub struct ObjectRow {
    /// Id in the database.
    pub id: ObjectId,
    /// Bytes.
    pub size: i64,
    /// Seen in the bucket with that size.
    pub present: bool,
    /// Made by this very request, so nothing can be in the bucket yet.
    pub new: bool,
    /// It is being deleted from the bucket; nothing may be written there before that is over.
    pub deleting: bool,
}

/// An object that is about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewObject {
    /// Bytes.
    pub size: i64,
    /// SHA-256 of its bytes.
    pub file_hash: FileHash,
    /// How it is stored.
    pub packing: Packing,
}

impl NewObject {
    /// A NAR as clients of this server upload it.
    #[must_use]
    pub const fn uploaded(size: i64, file_hash: FileHash) -> Self {
        Self {
            size,
            file_hash,
            packing: Packing::UPLOADED,
        }
    }
}

/// The server has read an object, and it holds the NAR that a row says.
pub(super) fn is_read(object: &str, row: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM verifications v WHERE v.object_id = {object} AND v.flaw = '' \
         AND v.nar_hash = {row}.nar_hash AND v.nar_size = {row}.nar_size)"
    )
}

/// What the database has of the bytes of an object: their SHA-256, if that is known, and how they are stored.
pub(super) fn stored(row: &AnyRow) -> Result<(Option<FileHash>, Packing)> {
    let hash: Option<Vec<u8>> = row.try_get("file_hash")?;
    let codec = |word: Option<String>| {
        let word = word.unwrap_or_default();
        Codec::parse(&word).ok_or_else(|| CatalogError::Corrupt(format!("compression {word:?}")))
    };
    let packing = Packing {
        compression: codec(row.try_get("compression")?)?,
        encoding: codec(row.try_get("encoding")?)?,
    };
    Ok((hash.as_deref().and_then(file_hash), packing))
}

/// The SHA-256 of an object; nothing when it is not known.
pub(super) fn file_hash(bytes: &[u8]) -> Option<FileHash> {
    Some(FileHash::from_bytes(bytes.try_into().ok()?))
}

/// An object that is in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivedObject {
    /// Id in the database.
    pub id: ObjectId,
    /// Key in the bucket.
    pub key: String,
    /// Bytes that the object store says it has.
    pub size: i64,
}

/// A build log that a push brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLog {
    /// Staging key, which also names its contents.
    pub staging: String,
    /// Bytes of the text.
    pub size: i64,
    /// The text in zstd, if it came in a request to the server; empty when it comes to its staging key.
    pub body: Vec<u8>,
}

/// The NAR that a push has uploaded for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadedNar {
    /// Id of the path.
    pub path_id: PathId,
    /// SHA-256 of the NAR, as the push has claimed it.
    pub nar_hash: NarHash,
    /// Bytes of the NAR, as the push has claimed it.
    pub nar_size: i64,
    /// Id of the object, which was looked up by its key in the same transaction.
    pub object_id: ObjectId,
}

/// Bytes beyond which NARs come in parts; the index of file hashes names it.
const LARGE: u64 = PART_SIZE;

const fn present(id: ObjectId, size: i64) -> ObjectRow {
    ObjectRow {
        id,
        size,
        present: true,
        new: false,
        deleting: false,
    }
}

impl WriteTx {
    /// The objects with those keys, each made with its size where it is new.
    pub async fn objects(
        &mut self,
        wanted: &HashMap<String, NewObject>,
    ) -> Result<HashMap<String, ObjectRow>> {
        let mut rows = HashMap::with_capacity(wanted.len());
        let keys: Vec<(&String, &NewObject)> = wanted.iter().collect();
        let created_at = now();
        let mut pending = Vec::new();
        for chunk in keys.chunks(ROWS) {
            let text = format!(
                "INSERT INTO objects (key, size, file_hash, compression, encoding, created_at, announced_at) VALUES {} \
                 ON CONFLICT (key) DO NOTHING RETURNING id, key",
                in_clause::values(chunk.len(), 7)
            );
            let mut query = in_clause::query_as(self.backend, text, chunk.len() == ROWS);
            for (key, new) in chunk {
                query = query
                    .bind((*key).clone())
                    .bind(new.size)
                    .bind(new.file_hash.as_bytes().to_vec())
                    .bind(new.packing.compression.as_str())
                    .bind(new.packing.encoding.as_str())
                    .bind(created_at)
                    .bind(created_at);
            }
            let inserted: Vec<(ObjectId, String)> = query.fetch_all(&mut *self.tx).await?;
            for (id, key) in inserted {
                let size = wanted.get(&key).map_or(0, |new| new.size);
                let object = ObjectRow {
                    id,
                    size,
                    present: false,
                    new: true,
                    deleting: false,
                };
                rows.insert(key, object);
            }
            let text = format!(
                "SELECT id, key, size, state FROM objects WHERE key IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let mut query = in_clause::query_as(self.backend, text, chunk.len() == ROWS);
            for (key, _) in chunk {
                query = query.bind((*key).clone());
            }
            let found: Vec<(ObjectId, String, i64, i64)> = query.fetch_all(&mut *self.tx).await?;
            for (id, key, size, state) in found {
                let object = ObjectRow {
                    id,
                    size,
                    present: state == OBJECT_PRESENT,
                    new: false,
                    deleting: state == OBJECT_DELETING,
                };
                if let Entry::Vacant(entry) = rows.entry(key) {
                    if state == OBJECT_PENDING {
                        pending.push(object.id);
                    }
                    entry.insert(object);
                }
            }
            // A URL may be given out again, so what it writes has to be looked for that much longer.
            if !pending.is_empty() {
                let text = format!(
                    "UPDATE objects SET announced_at = $1 WHERE id IN ({})",
                    in_clause::placeholders(2, pending.len())
                );
                let mut query = in_clause::query(self.backend, text, false).bind(created_at);
                for id in pending.drain(..) {
                    query = query.bind(id);
                }
                query.execute(&mut *self.tx).await?;
            }
        }
        Ok(rows)
    }

    /// A NAR in the bucket that has so many bytes with that SHA-256, which the server has seen when it read them. For those that
    /// came in parts: the others are found by their names, which tell the truth.
    pub async fn read_object(&mut self, file_hash: FileHash, size: i64) -> Result<Option<ObjectRow>> {
        let text = format!(
            "SELECT id FROM objects WHERE file_hash = $1 AND size > {LARGE} AND size = $2 AND state = {OBJECT_PRESENT} \
             AND compression = 'zstd' AND encoding = 'none' AND EXISTS \
             (SELECT 1 FROM verifications v WHERE v.object_id = objects.id AND v.flaw = '') ORDER BY id LIMIT 1"
        );
        let id: Option<ObjectId> = in_clause::query_scalar(self.backend, text, true)
            .bind(file_hash.as_bytes().to_vec())
            .bind(size)
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(id.map(|id| present(id, size)))
    }

    /// The NAR of that id, if it is in the bucket and is said to have that SHA-256 and so many bytes.
    pub async fn object_as_said(
        &mut self,
        id: ObjectId,
        file_hash: FileHash,
        size: i64,
    ) -> Result<Option<ObjectRow>> {
        let text = format!(
            "SELECT id FROM objects WHERE id = $1 AND state = {OBJECT_PRESENT} AND file_hash = $2 AND size = $3"
        );
        let id: Option<ObjectId> = in_clause::query_scalar(self.backend, text, true)
            .bind(id)
            .bind(file_hash.as_bytes().to_vec())
            .bind(size)
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(id.map(|id| present(id, size)))
    }

    /// Says anew what an object is to be that nobody has seen in the bucket.
    pub async fn describe_pending(&mut self, id: ObjectId, new: &NewObject) -> Result<()> {
        let text = format!(
            "UPDATE objects SET file_hash = $1, size = $2 WHERE id = $3 AND state = {OBJECT_PENDING}"
        );
        in_clause::query(self.backend, text, true)
            .bind(new.file_hash.as_bytes().to_vec())
            .bind(new.size)
            .bind(id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Records that objects that a push claims are in the bucket. When the push is over, nothing has kept them
    /// from being collected since somebody saw them, and nothing is recorded.
    pub async fn objects_arrived(&mut self, push_id: PushId, objects: &[ArrivedObject]) -> Result<()> {
        if objects.is_empty() || !self.keeps_claims(push_id).await? {
            return Ok(());
        }
        for chunk in objects.chunks(ROWS) {
            let text = format!(
                "UPDATE objects SET state = {OBJECT_PRESENT}, size = arrived.column3 FROM (VALUES {}) AS arrived \
                 WHERE objects.id = arrived.column1 AND objects.key = arrived.column2 AND objects.state = {OBJECT_PENDING}",
                in_clause::values(chunk.len(), 3)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for object in chunk {
                query = query.bind(object.id).bind(object.key.clone()).bind(object.size);
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Says which NAR object each claimed path of the push has. False when the push claims other contents for one of
    /// them by now; the transaction must not be committed then.
    ///
    /// The rows are there; an upsert is what both databases do row by row through the
    /// index, whatever they know of the table's size.
    pub async fn set_nars(&mut self, push_id: PushId, nars: &[UploadedNar]) -> Result<bool> {
        let mut set = 0;
        for chunk in nars.chunks(ROWS) {
            let text = format!(
                "INSERT INTO push_paths (push_id, path_id, kind, nar_hash, nar_size, object_id, revision) VALUES {} \
                 ON CONFLICT (push_id, path_id) DO UPDATE SET object_id = excluded.object_id, \
                 revision = excluded.revision WHERE push_paths.nar_hash = excluded.nar_hash \
                 AND push_paths.nar_size = excluded.nar_size",
                in_clause::values(chunk.len(), 7)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for nar in chunk {
                query = query
                    .bind(push_id)
                    .bind(nar.path_id)
                    .bind(ClaimKind::Needed)
                    .bind(nar.nar_hash.as_bytes().to_vec())
                    .bind(nar.nar_size)
                    .bind(nar.object_id)
                    .bind(self.revision);
            }
            set += query.execute(&mut *self.tx).await?.rows_affected();
        }
        Ok(set == nars.len() as u64)
    }

    /// Says where the listing of each claimed path of the push is staged, and its bytes.
    pub async fn set_listings(&mut self, push_id: PushId, listings: &[(PathId, String, i64)]) -> Result<()> {
        for chunk in listings.chunks(ROWS) {
            let text = format!(
                "INSERT INTO push_paths (push_id, path_id, kind, listing, listing_size) VALUES {} \
                 ON CONFLICT (push_id, path_id) DO UPDATE SET listing = excluded.listing, \
                 listing_size = excluded.listing_size",
                in_clause::values(chunk.len(), 5)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for (path_id, key, size) in chunk {
                query = query
                    .bind(push_id)
                    .bind(*path_id)
                    .bind(ClaimKind::Needed)
                    .bind(key.clone())
                    .bind(*size);
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Says what build logs of derivations the push brings; returns the derivations of which that was not known.
    pub async fn set_logs(
        &mut self,
        push_id: PushId,
        logs: &BTreeMap<String, NewLog>,
    ) -> Result<HashSet<String>> {
        let rows: Vec<_> = logs.iter().collect();
        let mut new = HashSet::new();
        for chunk in rows.chunks(ROWS) {
            let text = format!(
                "INSERT INTO push_logs (push_id, drv, staging, size, body) VALUES {} \
                 ON CONFLICT (push_id, drv) DO UPDATE SET staging = excluded.staging, size = excluded.size, body = excluded.body \
                 WHERE push_logs.staging <> excluded.staging OR push_logs.size <> excluded.size \
                 OR push_logs.body <> excluded.body RETURNING drv",
                in_clause::values(chunk.len(), 5)
            );
            let mut query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS);
            for (drv, log) in chunk {
                query = query
                    .bind(push_id)
                    .bind((*drv).clone())
                    .bind(log.staging.clone())
                    .bind(log.size)
                    .bind(log.body.clone());
            }
            new.extend(query.fetch_all(&mut *self.tx).await?);
        }
        Ok(new)
    }

    /// Keeps realisations of derivations' outputs until the push is committed: each its key, the id of its
    /// path, and its JSON.
    pub async fn set_realisations(
        &mut self,
        push_id: PushId,
        realisations: &BTreeMap<String, (PathId, String)>,
    ) -> Result<()> {
        let rows: Vec<_> = realisations.iter().collect();
        for chunk in rows.chunks(ROWS) {
            let text = format!(
                "INSERT INTO push_realisations (push_id, key, path_id, body) VALUES {} \
                 ON CONFLICT (push_id, key) DO UPDATE SET path_id = excluded.path_id, body = excluded.body",
                in_clause::values(chunk.len(), 4)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for (key, (path_id, body)) in chunk {
                query = query
                    .bind(push_id)
                    .bind((*key).clone())
                    .bind(*path_id)
                    .bind(body.clone());
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}

impl Catalog {
    /// The NARs that other pushes under way of the same identity have announced for some
    /// paths: path, object and token of the push, the newest push first.
    pub async fn announced_before(
        &self,
        push: &Push,
        path_ids: &[PathId],
    ) -> Result<Vec<(PathId, ObjectId, String)>> {
        let mut announced = Vec::new();
        for chunk in path_ids.chunks(ROWS) {
            let text = format!(
                "SELECT c.path_id, c.object_id, q.token FROM push_paths c JOIN pushes q ON q.id = c.push_id \
                 WHERE q.state = {PUSH_OPEN} AND q.identity = $1 AND q.id <> $2 AND c.object_id <> 0 AND c.path_id IN ({}) \
                 ORDER BY q.id DESC",
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                .bind(push.identity.clone())
                .bind(push.id)
                .bind_all(chunk.iter().copied());
            announced.extend(query.fetch_all(&self.reader).await?);
        }
        Ok(announced)
    }

    /// Those of some derivations that paths were built by which a push claims.
    pub async fn derivers_among(&self, push_id: PushId, drvs: &[String]) -> Result<HashSet<String>> {
        let mut derivers = HashSet::new();
        for chunk in drvs.chunks(ROWS) {
            let text = format!(
                "SELECT DISTINCT deriver FROM push_paths WHERE push_id = $1 AND deriver IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS)
                .bind(push_id)
                .bind_all(chunk.iter().cloned());
            derivers.extend(query.fetch_all(&self.reader).await?);
        }
        Ok(derivers)
    }
}
