//! What a check of bucket and database reads, and the moves by which it mends.

use std::collections::{HashMap, HashSet};

use niks3_base::compression::Packing;
use niks3_base::signing::KeyChoice;
use niks3_nix::hash::{FileHash, NarHash};
use niks3_nix::store_path::StorePath;
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row as _};

use super::columns::PathName;
use super::in_clause::{self, BindAll as _, ROWS};
use super::objects::{self, OBJECT_PENDING, OBJECT_PRESENT};
use super::path_columns::{ABSENT, PRESENT, PUBLISHING, nar_hash, pack_refs, store_path, unpack_refs};
use super::publish::{publishable, publishable_columns};
use super::states::{
    FINDING_MENDED, LOG_PRESENT, LOG_PUBLISHING, PUSH_COMMITTING, PUSH_OPEN, REALISATION_PRESENT,
};
use super::{
    Catalog, ClosureId, FindingId, ObjectId, PathId, Publishable, Realised, Result, TaskId, WriteTx, now,
};

/// A committed path as a check sees it.
#[derive(Debug, Clone)]
pub struct CheckedPath {
    /// What its narinfo is written from.
    pub row: Publishable,
    /// Its narinfo has been written.
    pub published: bool,
    /// A push under way relies on it.
    pub claimed: bool,
}

/// A path that another one refers to.
#[derive(Debug, Clone)]
pub struct ReferenceStatus {
    /// Its name.
    pub path: StorePath,
    /// It is committed.
    pub there: bool,
    /// Its narinfo has been written.
    pub published: bool,
    /// Somebody has left it out of a push on purpose.
    pub left_out: bool,
}

/// A NAR that has been in the bucket.
#[derive(Debug, Clone)]
pub struct CheckedObject {
    /// Id of the object.
    pub id: ObjectId,
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256 of its bytes, where that is known.
    pub file_hash: Option<FileHash>,
    /// How it is stored.
    pub packing: Packing,
}

/// A committed path that has a NAR.
#[derive(Debug, Clone)]
pub struct User {
    /// Id of the path.
    pub path_id: PathId,
    /// The path.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: NarHash,
    /// Bytes of its NAR.
    pub nar_size: i64,
    /// Its content address.
    pub ca: Option<String>,
    /// It is among its own references.
    pub refers_to_itself: bool,
}

/// A pin as a check sees it.
#[derive(Debug, Clone)]
pub struct CheckedPin {
    /// Its name.
    pub name: String,
    /// What it points at.
    pub path: StorePath,
    /// That is committed.
    pub there: bool,
    /// Nobody is about to write its object.
    pub settled: bool,
}

/// Where a hash part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashStatus {
    /// Nobody has pushed it.
    Absent,
    /// It is committed, or being deleted: the bucket may have something of it.
    Recorded,
}

/// What a check found in the bucket and takes into the database.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// The path.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: NarHash,
    /// Bytes of its NAR.
    pub nar_size: i64,
    /// In the order of their names.
    pub references: Vec<StorePath>,
    /// Those of them that the bucket does not have.
    pub left_out: Vec<StorePath>,
    /// The derivation it was built by.
    pub deriver: Option<StorePath>,
    /// Signatures.
    pub sigs: Vec<String>,
    /// Content address.
    pub ca: Option<String>,
    /// Which keys have signed it.
    pub keys: KeyChoice,
    /// Their names, one a line.
    pub signed_by: String,
    /// Key of its NAR.
    pub nar_key: String,
    /// Bytes of that object.
    pub file_size: i64,
    /// SHA-256 of that object.
    pub file_hash: Option<FileHash>,
    /// How it is stored.
    pub packing: Packing,
}

fn checked() -> String {
    format!(
        "SELECT {}, p.state, CASE WHEN EXISTS (SELECT 1 FROM push_paths c JOIN pushes q ON q.id = c.push_id \
         WHERE c.path_id = p.id AND q.state IN ({PUSH_OPEN}, {PUSH_COMMITTING})) THEN 1 ELSE 0 END AS claimed \
         FROM paths p LEFT JOIN objects o ON o.id = p.object_id",
        publishable_columns("p", "p")
    )
}

fn checked_path(row: &AnyRow) -> Result<CheckedPath> {
    Ok(CheckedPath {
        row: publishable(row)?,
        published: row.try_get::<i64, _>("state")? == PRESENT,
        claimed: row.try_get::<i64, _>("claimed")? != 0,
    })
}

fn checked_object(row: &AnyRow) -> Result<CheckedObject> {
    let (file_hash, packing) = objects::stored(row)?;
    Ok(CheckedObject {
        id: row.try_get("id")?,
        key: row.try_get("key")?,
        size: row.try_get("size")?,
        file_hash,
        packing,
    })
}

fn user(row: &AnyRow) -> Result<User> {
    let path_id: PathId = row.try_get("id")?;
    let ca: String = row.try_get("ca")?;
    // The references of what is not content-addressed are of no interest.
    let refs = match ca.as_str() {
        "" => Vec::new(),
        _ => unpack_refs(&row.try_get::<Vec<u8>, _>("refs")?)?,
    };
    Ok(User {
        path_id,
        ca: Some(ca).filter(|ca| !ca.is_empty()),
        refers_to_itself: refs.contains(&path_id),
        path: store_path(&row.try_get::<String, _>("name")?)?,
        nar_hash: nar_hash(&row.try_get::<Vec<u8>, _>("nar_hash")?)?,
        nar_size: row.try_get("nar_size")?,
    })
}

fn checked_pin(row: &AnyRow) -> Result<CheckedPin> {
    Ok(CheckedPin {
        name: row.try_get("pin_name")?,
        path: store_path(&row.try_get::<String, _>("path_name")?)?,
        there: matches!(row.try_get::<i64, _>("state")?, PUBLISHING | PRESENT),
        settled: row.try_get::<i64, _>("is_written")? == 0,
    })
}

const PINS: &str = "SELECT n.name AS pin_name, p.name AS path_name, p.state, \
     CASE WHEN EXISTS (SELECT 1 FROM pin_writes w WHERE w.name = n.name) THEN 1 ELSE 0 END AS is_written \
     FROM pins n JOIN paths p ON p.id = n.path_id";

impl Catalog {
    /// Committed paths in the order of their ids, after one.
    pub async fn checked_paths(&self, after: PathId, limit: i64) -> Result<Vec<CheckedPath>> {
        let text = format!(
            "{} WHERE p.id > $1 AND p.state IN ({PUBLISHING}, {PRESENT}) ORDER BY p.id LIMIT $2",
            checked()
        );
        let rows = in_clause::query(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(checked_path).collect()
    }

    /// Those of some paths that are committed.
    pub async fn checked_paths_among(&self, ids: &[PathId]) -> Result<Vec<CheckedPath>> {
        let states = format!("p.state IN ({PUBLISHING}, {PRESENT})");
        let rows = self
            .among(&format!("{} WHERE {states} AND p.id", checked()), ids)
            .await?;
        rows.iter().map(checked_path).collect()
    }

    /// Paths that others refer to, by id.
    pub async fn referred(&self, ids: &[PathId]) -> Result<HashMap<PathId, ReferenceStatus>> {
        let rows: Vec<(PathId, PathName, i64, i64)> = self
            .typed_among("SELECT id, name, state, left_out FROM paths WHERE id", ids)
            .await?;
        let referred = rows.into_iter().map(|(id, name, state, left_out)| {
            let referred = ReferenceStatus {
                path: name.into(),
                there: matches!(state, PUBLISHING | PRESENT),
                published: state == PRESENT,
                left_out: left_out != 0,
            };
            (id, referred)
        });
        Ok(referred.collect())
    }

    /// Those of some paths that a closure or a pin names.
    pub async fn rooted(&self, ids: &[PathId]) -> Result<HashSet<PathId>> {
        let mut rooted = HashSet::new();
        for question in [
            "SELECT path_id FROM closures WHERE path_id",
            "SELECT path_id FROM pins WHERE path_id",
            "SELECT path_id FROM pin_targets WHERE path_id",
        ] {
            let found: Vec<(PathId,)> = self.typed_among(question, ids).await?;
            rooted.extend(found.into_iter().map(|(id,)| id));
        }
        Ok(rooted)
    }

    /// The realisations of some paths.
    pub async fn realisations_of(&self, ids: &[PathId]) -> Result<Vec<Realised>> {
        self.typed_among(
            &format!("SELECT key, path_id, body, signing_keys FROM realisations WHERE state = {REALISATION_PRESENT} AND path_id"),
            ids,
        )
        .await
    }

    /// NARs that are believed to be in the bucket, in the order of their ids, after one.
    pub async fn checked_objects(&self, after: ObjectId, limit: i64) -> Result<Vec<CheckedObject>> {
        let text = format!(
            "SELECT id, key, size, file_hash, compression, encoding FROM objects WHERE id > $1 AND state = {OBJECT_PRESENT} ORDER BY id LIMIT $2"
        );
        let rows = in_clause::query(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(checked_object).collect()
    }

    /// Those of some NARs that are believed to be in the bucket.
    pub async fn checked_objects_among(&self, ids: &[ObjectId]) -> Result<Vec<CheckedObject>> {
        let text = format!(
            "SELECT id, key, size, file_hash, compression, encoding FROM objects WHERE state = {OBJECT_PRESENT} AND id"
        );
        let rows = self.among(&text, ids).await?;
        rows.iter().map(checked_object).collect()
    }

    /// The committed paths that have some NARs, by the id of the NAR.
    pub async fn users_of(&self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, Vec<User>>> {
        let text = format!(
            "SELECT object_id, id, name, nar_hash, nar_size, ca, refs FROM paths \
             WHERE state IN ({PUBLISHING}, {PRESENT}) AND object_id <> 0 AND object_id"
        );
        let mut users: HashMap<ObjectId, Vec<User>> = HashMap::new();
        for row in self.among(&text, objects).await? {
            users
                .entry(row.try_get("object_id")?)
                .or_default()
                .push(user(&row)?);
        }
        Ok(users)
    }

    /// Those of some committed paths that have a NAR.
    pub async fn users_among(&self, object: ObjectId, ids: &[PathId]) -> Result<Vec<User>> {
        let text = format!(
            "SELECT object_id, id, name, nar_hash, nar_size, ca, refs FROM paths \
             WHERE state IN ({PUBLISHING}, {PRESENT}) AND object_id = {object} AND id"
        );
        self.among(&text, ids).await?.iter().map(user).collect()
    }

    /// Build logs that are believed to be in the bucket, with their bytes, in the order of
    /// their names, after one.
    pub async fn checked_logs(&self, after: &str, limit: i64) -> Result<Vec<(String, i64)>> {
        let rows = in_clause::query_as(
            self.backend,
            format!(
                "SELECT drv, size FROM logs WHERE drv > $1 AND state = {LOG_PRESENT} ORDER BY drv LIMIT $2"
            ),
            true,
        )
        .bind(after.to_owned())
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// The build log of a derivation that is believed to be in the bucket, with its bytes.
    pub async fn checked_log(&self, drv: &str) -> Result<Option<(String, i64)>> {
        Ok(in_clause::query_as(
            self.backend,
            format!("SELECT drv, size FROM logs WHERE drv = $1 AND state = {LOG_PRESENT}"),
            true,
        )
        .bind(drv.to_owned())
        .fetch_optional(&self.reader)
        .await?)
    }

    /// Closures whose root is not committed, in the order of their ids, after one.
    pub async fn rootless_closures(
        &self,
        after: ClosureId,
        limit: i64,
    ) -> Result<Vec<(ClosureId, StorePath)>> {
        let text = format!(
            "SELECT c.id, p.name FROM closures c JOIN paths p ON p.id = c.path_id \
             WHERE c.id > $1 AND p.state NOT IN ({PUBLISHING}, {PRESENT}) ORDER BY c.id LIMIT $2"
        );
        let rows: Vec<(ClosureId, PathName)> = in_clause::query_as(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows.into_iter().map(|(id, name)| (id, name.into())).collect())
    }

    /// Pins in the order of their names, after one.
    pub async fn checked_pins(&self, after: &str, limit: i64) -> Result<Vec<CheckedPin>> {
        let text = format!("{PINS} WHERE n.name > $1 ORDER BY n.name LIMIT $2");
        let rows = in_clause::query(self.backend, text, true)
            .bind(after.to_owned())
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(checked_pin).collect()
    }

    /// Those of some pins that there are.
    pub async fn checked_pins_among(&self, names: &[String]) -> Result<Vec<CheckedPin>> {
        let rows = self.among(&format!("{PINS} WHERE n.name"), names).await?;
        rows.iter().map(checked_pin).collect()
    }

    /// Those of some hash parts that the database has a path for, and where it stands.
    pub async fn known_hashes(&self, hashes: &[String]) -> Result<HashMap<String, HashStatus>> {
        let rows: Vec<(String, i64)> = self
            .typed_among("SELECT hash, state FROM paths WHERE hash", hashes)
            .await?;
        let standing = |state| match state {
            ABSENT => HashStatus::Absent,
            _ => HashStatus::Recorded,
        };
        Ok(rows
            .into_iter()
            .map(|(hash, state)| (hash, standing(state)))
            .collect())
    }

    /// Those of some keys of NARs that the database has.
    pub async fn known_nars(&self, keys: &[String]) -> Result<HashSet<String>> {
        self.known("SELECT key FROM objects WHERE key", keys).await
    }

    /// Those of some derivations that the database has a build log of. A commit says so before it moves one into place,
    /// so what only a push has staged is not where readers look, unless the database has lost that commit.
    pub async fn known_drvs(&self, drvs: &[String]) -> Result<HashSet<String>> {
        self.known("SELECT drv FROM logs WHERE drv", drvs).await
    }

    /// Those of some keys of realisations that the database has.
    pub async fn known_realisations(&self, keys: &[String]) -> Result<HashSet<String>> {
        self.known("SELECT key FROM realisations WHERE key", keys).await
    }

    /// Those of some hash parts whose path has been decided: its narinfo is there, or about to be.
    pub async fn published_hashes(&self, hashes: &[String]) -> Result<HashSet<String>> {
        let question = format!("SELECT hash FROM paths WHERE state IN ({PUBLISHING}, {PRESENT}) AND hash");
        self.known(&question, hashes).await
    }

    /// Those of some keys of NARs that the bucket has.
    pub async fn present_nars(&self, keys: &[String]) -> Result<HashSet<String>> {
        let question = format!("SELECT key FROM objects WHERE state = {OBJECT_PRESENT} AND key");
        self.known(&question, keys).await
    }

    /// Those of some derivations whose build log is in its place, or about to be.
    pub async fn present_drvs(&self, drvs: &[String]) -> Result<HashSet<String>> {
        let question =
            format!("SELECT drv FROM logs WHERE state IN ({LOG_PRESENT}, {LOG_PUBLISHING}) AND drv");
        self.known(&question, drvs).await
    }

    /// Those of some keys of realisations that do not go with their path.
    pub async fn present_realisations(&self, keys: &[String]) -> Result<HashSet<String>> {
        let question = format!("SELECT key FROM realisations WHERE state = {REALISATION_PRESENT} AND key");
        self.known(&question, keys).await
    }

    /// Whether a committed path was built by a derivation. No index knows, so it is asked rarely.
    pub async fn has_deriver(&self, drv: &str) -> Result<bool> {
        let text =
            format!("SELECT 1 FROM paths WHERE deriver = $1 AND state IN ({PUBLISHING}, {PRESENT}) LIMIT 1");
        let row = in_clause::query(self.backend, text, true)
            .bind(drv.to_owned())
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.is_some())
    }

    /// Those of some keys of debug information that the database has.
    pub async fn known_debug_infos(&self, keys: &[String]) -> Result<HashSet<String>> {
        self.known("SELECT key FROM debug_infos WHERE key", keys).await
    }

    /// Those of some names that a pin has, or had until just now.
    pub async fn known_pins(&self, names: &[String]) -> Result<HashSet<String>> {
        let mut known = self.known("SELECT name FROM pins WHERE name", names).await?;
        known.extend(
            self.known("SELECT name FROM pin_writes WHERE name", names)
                .await?,
        );
        Ok(known)
    }

    /// Those of some uploads in parts that the database has.
    pub async fn known_uploads(&self, ids: &[String]) -> Result<HashSet<String>> {
        self.known("SELECT upload_id FROM multiparts WHERE upload_id", ids)
            .await
    }

    /// Those of some names of pushes that are under way.
    pub async fn known_pushes(&self, tokens: &[String]) -> Result<HashSet<String>> {
        self.known(
            &format!("SELECT token FROM pushes WHERE state IN ({PUSH_OPEN}, {PUSH_COMMITTING}) AND token"),
            tokens,
        )
        .await
    }

    async fn known(&self, question: &str, keys: &[String]) -> Result<HashSet<String>> {
        let rows: Vec<(String,)> = self.typed_among(question, keys).await?;
        Ok(rows.into_iter().map(|(key,)| key).collect())
    }

    /// The rows for which what a question ends with is one of some values.
    async fn typed_among<V, T>(&self, question: &str, values: &[V]) -> Result<Vec<T>>
    where
        V: Clone + Send + Sync + for<'q> sqlx::Encode<'q, sqlx::Any> + sqlx::Type<sqlx::Any> + 'static,
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let rows = self.among(question, values).await?;
        Ok(rows.iter().map(T::from_row).collect::<sqlx::Result<_>>()?)
    }

    /// The same, as they are.
    async fn among<V>(&self, question: &str, values: &[V]) -> Result<Vec<AnyRow>>
    where
        V: Clone + Send + for<'q> sqlx::Encode<'q, sqlx::Any> + sqlx::Type<sqlx::Any> + 'static,
    {
        let mut rows = Vec::new();
        for chunk in values.chunks(ROWS) {
            let text = format!("{question} IN ({})", in_clause::placeholders(1, chunk.len()));
            let query =
                in_clause::query(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().cloned());
            rows.extend(query.fetch_all(&self.reader).await?);
        }
        Ok(rows)
    }
}

impl WriteTx {
    /// Corrects the bytes of a NAR that is there.
    pub async fn resize_object(&mut self, id: ObjectId, size: i64) -> Result<()> {
        let text = format!("UPDATE objects SET size = $1 WHERE id = $2 AND state = {OBJECT_PRESENT}");
        in_clause::query(self.backend, text, true)
            .bind(size)
            .bind(id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Forgets a build log that the bucket does not have.
    pub async fn log_lost(&mut self, drv: &str) -> Result<()> {
        in_clause::query(
            self.backend,
            format!("DELETE FROM logs WHERE drv = $1 AND state = {LOG_PRESENT}"),
            true,
        )
        .bind(drv.to_owned())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Takes a build log that the bucket has into the database.
    pub async fn adopt_log(&mut self, drv: &str, size: i64) -> Result<()> {
        sqlx::query(
            "INSERT INTO logs (drv, size, created_at) VALUES ($1, $2, $3) ON CONFLICT (drv) DO NOTHING",
        )
        .bind(drv.to_owned())
        .bind(size)
        .bind(now())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Takes a NAR that the bucket has into the database; a garbage collection deletes it if
    /// no path has it.
    pub async fn adopt_nar(
        &mut self,
        key: &str,
        size: i64,
        file_hash: Option<FileHash>,
        packing: Packing,
    ) -> Result<ObjectId> {
        let pending = |column: &str| {
            format!(
                "{column} = CASE WHEN objects.state = {OBJECT_PENDING} THEN excluded.{column} ELSE objects.{column} END"
            )
        };
        let columns = ["size", "file_hash", "compression", "encoding"]
            .map(pending)
            .join(", ");
        let text = format!(
            "INSERT INTO objects (key, size, file_hash, compression, encoding, state, created_at, announced_at) \
             VALUES ($1, $2, $3, $4, $5, {OBJECT_PRESENT}, $6, 0) ON CONFLICT (key) DO UPDATE SET {columns}, \
             state = CASE WHEN objects.state = {OBJECT_PENDING} THEN {OBJECT_PRESENT} ELSE objects.state END \
             RETURNING id"
        );
        let id = in_clause::query_scalar(self.backend, text, true)
            .bind(key.to_owned())
            .bind(size)
            .bind(file_hash.map(|hash| hash.as_bytes().to_vec()).unwrap_or_default())
            .bind(packing.compression.as_str())
            .bind(packing.encoding.as_str())
            .bind(now())
            .fetch_one(&mut *self.tx)
            .await?;
        // Of one that was taken in without a path, only the size was known.
        if let Some(hash) = file_hash {
            let text = format!(
                "UPDATE objects SET file_hash = $1, compression = $2, encoding = $3 WHERE id = $4 AND file_hash = {}",
                self.backend.empty_bytes()
            );
            in_clause::query(self.backend, text, true)
                .bind(hash.as_bytes().to_vec())
                .bind(packing.compression.as_str())
                .bind(packing.encoding.as_str())
                .bind(id)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(id)
    }

    /// Takes debug information that points into a NAR into the database; false when no committed path has that NAR.
    pub async fn adopt_debug_info(&mut self, key: &str, nar_key: &str) -> Result<bool> {
        let text = format!(
            "INSERT INTO debug_infos (key, path_id, created_at) SELECT $1, p.id, $2 FROM paths p \
             JOIN objects o ON o.id = p.object_id WHERE o.key = $3 AND p.state IN ({PUBLISHING}, {PRESENT}) \
             ORDER BY p.id LIMIT 1 ON CONFLICT (key) DO UPDATE SET path_id = excluded.path_id"
        );
        let done = in_clause::query(self.backend, text, true)
            .bind(key.to_owned())
            .bind(now())
            .bind(nar_key.to_owned())
            .execute(&mut *self.tx)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes a path that readers find in the bucket into the database, as a closure pushed at
    /// `pushed_at`: with that it goes when the retention says. A path that it refers to
    /// and that was taken in as a closure no younger than it is a part of it, and no closure. Id of the object; nothing
    /// when somebody has pushed the path meanwhile, or its NAR is known with another compression.
    pub async fn adopt(&mut self, found: &Adopted, pushed_at: i64) -> Result<Option<ObjectId>> {
        let object_id = self
            .adopt_nar(&found.nar_key, found.file_size, found.file_hash, found.packing)
            .await?;
        let mut names: HashSet<&StorePath> = found.references.iter().collect();
        names.insert(&found.path);
        let ids = self.intern_ids(&names).await?;
        let path_id = ids[&found.path];
        let refs: Vec<PathId> = found.references.iter().map(|path| ids[path]).collect();
        let text = format!(
            "UPDATE paths SET state = {PRESENT}, nar_hash = $1, nar_size = $2, refs = $3, deriver = $4, sigs = $5, \
             ca = $6, object_id = $7, listing = '', condemned_at = 0, signing_keys = $8, signed_by = $12 WHERE id = $9 AND state = {ABSENT} \
             AND EXISTS (SELECT 1 FROM objects o WHERE o.id = $7 AND o.state = {OBJECT_PRESENT} \
             AND o.compression = $10 AND o.encoding = $11)"
        );
        let done = in_clause::query(self.backend, text, true)
            .bind(found.nar_hash.as_bytes().to_vec())
            .bind(found.nar_size)
            .bind(pack_refs(refs.iter().copied()))
            .bind(
                found
                    .deriver
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            )
            .bind(found.sigs.join("\n"))
            .bind(found.ca.clone().unwrap_or_default())
            .bind(object_id)
            .bind(found.keys.to_text())
            .bind(path_id)
            .bind(found.packing.compression.as_str())
            .bind(found.packing.encoding.as_str())
            .bind(found.signed_by.clone())
            .execute(&mut *self.tx)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        for path in &found.left_out {
            let text = format!("UPDATE paths SET left_out = 1 WHERE id = $1 AND state = {ABSENT}");
            in_clause::query(self.backend, text, true)
                .bind(ids[path])
                .execute(&mut *self.tx)
                .await?;
        }
        // Commits that have walked references look again.
        self.next_publication().await?;
        // A garbage collection under way has looked at it when it was absent.
        sqlx::query(
            "INSERT INTO gc_dirty (path_id) SELECT id FROM paths WHERE id = $1 \
             AND (SELECT value FROM counters WHERE name = 'gc') <> 0",
        )
        .bind(path_id)
        .execute(&mut *self.tx)
        .await?;
        sqlx::query(
            "INSERT INTO closures (path_id, created_at, pushed_at, direct_at, adopted) VALUES ($1, $2, $3, $4, 1) \
             ON CONFLICT (path_id) DO NOTHING",
        )
        .bind(path_id)
        .bind(pushed_at)
        .bind(pushed_at)
        .bind(now())
        .execute(&mut *self.tx)
        .await?;
        for id in refs.into_iter().filter(|id| *id != path_id) {
            sqlx::query("DELETE FROM closures WHERE path_id = $1 AND adopted = 1 AND pushed_at <= $2")
                .bind(id)
                .bind(pushed_at)
                .execute(&mut *self.tx)
                .await?;
        }
        self.roots_changed().await?;
        Ok(Some(object_id))
    }

    /// The committed path of that hash part, if it is that path.
    pub async fn committed(&mut self, path: &StorePath) -> Result<Option<PathId>> {
        let text = format!(
            "SELECT id FROM paths WHERE hash = $1 AND name = $2 AND state IN ({PUBLISHING}, {PRESENT})"
        );
        Ok(in_clause::query_scalar(self.backend, text, true)
            .bind(path.hash_part().to_owned())
            .bind(path.to_string())
            .fetch_optional(&mut *self.tx)
            .await?)
    }

    /// Whether a path may be referred to: it is committed, or was left out on purpose.
    pub async fn may_be_referred_to(&mut self, path: &StorePath) -> Result<bool> {
        let text = format!(
            "SELECT 1 FROM paths WHERE hash = $1 AND name = $2 AND (state IN ({PUBLISHING}, {PRESENT}) OR left_out <> 0)"
        );
        let row = in_clause::query(self.backend, text, true)
            .bind(path.hash_part().to_owned())
            .bind(path.to_string())
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(row.is_some())
    }

    /// Findings of one kind of a check that are open, in the order of their ids, after one:
    /// pairs of id and subject.
    pub async fn open_findings(
        &mut self,
        task_id: TaskId,
        kind: &str,
        after: FindingId,
        limit: i64,
    ) -> Result<Vec<(FindingId, String)>> {
        let rows = in_clause::query_as(self.backend, format!("SELECT id, subject FROM fsck_findings WHERE task_id = $1 AND kind = $2 AND state <> {FINDING_MENDED} AND id > $3 \
             ORDER BY id LIMIT $4"), true)
        .bind(task_id)
        .bind(kind.to_owned())
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }
}
