//! What a commit reads.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use niks3_base::compression::Packing;
use niks3_base::signing::KeyChoice;
use niks3_nix::hash::{FileHash, NarHash};
use niks3_nix::store_path::StorePath;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::columns::{Keys, PathName};
use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::{self, ABSENT, DELETING, PRESENT, PUBLISHING};
use super::states::LOG_PRESENT;
use super::{Catalog, CatalogError, ClaimKind, ClosureSummary, ObjectId, PathId, PushId, Result, objects};

/// A claim as the commit sees it.
#[derive(Debug, Clone)]
pub struct CommitClaim {
    /// Id of the path.
    pub path_id: PathId,
    /// The path.
    pub path: StorePath,
    /// Why it is claimed.
    pub kind: ClaimKind,
    /// The NAR that the push uploaded for it; 0 when none was announced.
    pub object_id: ObjectId,
    /// That NAR was seen in the bucket.
    pub object_present: bool,
    /// Bytes of the path's NAR, whoever has brought it.
    pub nar_size: i64,
    /// What the push would make of the path, which nobody has committed yet. No key when no NAR
    /// or listing was announced.
    pub offer: Option<Publishable>,
    /// The path is committed with other contents, whose place the offer takes.
    pub replaces: bool,
}

impl CommitClaim {
    /// Whether the push found the path in the cache; `None` for one that it leaves out.
    #[must_use]
    pub fn cached(&self) -> Option<bool> {
        (self.kind != ClaimKind::External).then_some(self.kind == ClaimKind::Present)
    }
}

/// A committed path whose narinfo has to be in the bucket.
#[derive(Debug, Clone)]
pub struct Publishable {
    /// Id of the path.
    pub path_id: PathId,
    /// The path.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: NarHash,
    /// Bytes of its NAR.
    pub nar_size: i64,
    /// Ids of the paths it refers to, in the order of their names.
    pub refs: Vec<PathId>,
    /// The derivation it was built by.
    pub deriver: Option<StorePath>,
    /// Signatures it carried when it was pushed.
    pub sigs: Vec<String>,
    /// Content address.
    pub ca: Option<String>,
    /// Key of its NAR.
    pub nar_key: String,
    /// Bytes of that object.
    pub file_size: i64,
    /// SHA-256 of that object, where it is known.
    pub file_hash: Option<FileHash>,
    /// How it is stored.
    pub packing: Packing,
    /// Staging key of its listing, empty when it has been moved where it belongs.
    pub listing: String,
    /// It is not there any more.
    pub listing_lost: bool,
    /// The server has made it when it read the NAR.
    pub listing_of_nar: bool,
    /// In place of its listing is that of the contents that it replaces.
    pub listing_replaced: bool,
    /// Bytes of its listing.
    pub listing_size: i64,
    /// Which keys sign it.
    pub keys: KeyChoice,
    /// Number of the move after which this narinfo has to be written; 0 for what is not decided yet.
    pub publication: i64,
}

/// A build log waiting to be published.
#[derive(Debug, Clone)]
pub struct StagedLog {
    /// Base name of the derivation.
    pub drv: String,
    /// Staging key.
    pub staging: String,
    /// Bytes.
    pub size: i64,
    /// The text is in the database, and not at the staging key.
    pub in_database: bool,
}

/// A realisation waiting to be published.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Realised {
    /// Key of the object it becomes.
    pub key: String,
    /// Id of the output path.
    pub path_id: PathId,
    /// JSON as its client has it.
    pub body: String,
    /// Which keys sign it.
    #[sqlx(rename = "signing_keys", try_from = "Keys")]
    pub keys: KeyChoice,
}

fn optional(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn commit_claim(row: &AnyRow) -> Result<CommitClaim> {
    let kind: ClaimKind = row.try_get("kind")?;
    let absent = matches!(row.try_get::<i64, _>("path_state")?, ABSENT | DELETING);
    Ok(CommitClaim {
        path_id: row.try_get("path_id")?,
        path: path_columns::store_path(&row.try_get::<String, _>("name")?)?,
        kind,
        object_id: row.try_get("object_id")?,
        object_present: row.try_get::<i64, _>("object_state")? == objects::OBJECT_PRESENT,
        nar_size: match kind {
            ClaimKind::Present => row.try_get("cached_size")?,
            _ => row.try_get("nar_size")?,
        },
        offer: (absent && kind != ClaimKind::External)
            .then(|| publishable(row))
            .transpose()?,
        replaces: false,
    })
}

/// The columns that [`publishable`] reads, of `paths p` with `objects o`: the contents are those of `row`, which are signed
/// by the keys of `keys`.
pub(super) fn publishable_columns(row: &str, keys: &str) -> String {
    format!(
        "{row}.nar_hash, {row}.nar_size, {row}.refs, {row}.deriver, {row}.sigs, {row}.ca, {row}.listing, \
         {row}.listing_size, {keys}.signing_keys, p.id AS path_id, p.name, p.publication, COALESCE(o.key, '') AS nar_key, \
         COALESCE(o.size, 0) AS file_size, o.file_hash, o.compression, o.encoding"
    )
}

pub(super) fn publishable(row: &AnyRow) -> Result<Publishable> {
    let sigs: String = row.try_get("sigs")?;
    let mut listing: String = row.try_get("listing")?;
    let listing_lost = listing == path_columns::LISTING_LOST;
    let listing_replaced = listing == path_columns::LISTING_REPLACED;
    let listing_of_nar = listing_replaced || listing == path_columns::LISTING_OF_NAR;
    if listing_lost || listing_of_nar {
        listing.clear();
    }
    let (file_hash, packing) = objects::stored(row)?;
    Ok(Publishable {
        path_id: row.try_get("path_id")?,
        path: path_columns::store_path(&row.try_get::<String, _>("name")?)?,
        nar_hash: path_columns::nar_hash(&row.try_get::<Vec<u8>, _>("nar_hash")?)?,
        nar_size: row.try_get("nar_size")?,
        refs: path_columns::unpack_refs(&row.try_get::<Vec<u8>, _>("refs")?)?,
        deriver: optional(row.try_get("deriver")?)
            .as_deref()
            .map(path_columns::store_path)
            .transpose()?,
        sigs: sigs.lines().map(str::to_owned).collect(),
        ca: optional(row.try_get("ca")?),
        nar_key: row.try_get("nar_key")?,
        file_size: row.try_get("file_size")?,
        file_hash,
        packing,
        listing,
        listing_lost,
        listing_of_nar,
        listing_replaced,
        listing_size: row.try_get("listing_size")?,
        keys: KeyChoice::from_text(&row.try_get::<String, _>("signing_keys")?),
        publication: row.try_get("publication")?,
    })
}

impl Catalog {
    /// Everything that a push claims.
    pub async fn commit_claims(&self, push_id: PushId) -> Result<Vec<CommitClaim>> {
        // One by one, since a row takes more memory than what it says.
        let mut claims = Vec::new();
        let text = format!(
            "SELECT {}, c.kind, p.state AS path_state, c.object_id, COALESCE(o.state, 0) AS object_state, \
             p.nar_size AS cached_size FROM push_paths c JOIN pushes q ON q.id = c.push_id JOIN paths p ON p.id = c.path_id \
             LEFT JOIN objects o ON o.id = c.object_id WHERE c.push_id = $1",
            publishable_columns("c", "q")
        );
        let mut rows = in_clause::query(self.backend, text, true)
            .bind(push_id)
            .fetch(&self.reader);
        while let Some(row) = rows.try_next().await? {
            claims.push(commit_claim(&row)?);
        }
        Ok(claims)
    }

    /// The paths a push relies on whose narinfo may not be in the bucket yet,
    /// whoever decided them.
    pub async fn publishables(&self, push_id: PushId) -> Result<Vec<Publishable>> {
        let columns = publishable_columns("p", "p");
        let text = format!(
            "SELECT {columns} FROM push_paths c JOIN paths p ON p.id = c.path_id JOIN objects o ON o.id = p.object_id \
             WHERE c.push_id = $1 AND p.state = $2"
        );
        let rows = in_clause::query(self.backend, text, true)
            .bind(push_id)
            .bind(PUBLISHING)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(publishable).collect()
    }

    /// Those of some paths whose narinfo may not be in the bucket yet.
    pub async fn publishables_among(&self, ids: &[PathId]) -> Result<Vec<Publishable>> {
        let mut found = Vec::new();
        for chunk in ids.chunks(ROWS) {
            let columns = publishable_columns("p", "p");
            let text = format!(
                "SELECT {columns} FROM paths p JOIN objects o ON o.id = p.object_id WHERE p.state = $1 AND p.id IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(PUBLISHING)
                .bind_all(chunk.iter().copied());
            let rows = query.fetch_all(&self.reader).await?;
            found.extend(rows.iter().map(publishable).collect::<Result<Vec<_>>>()?);
        }
        Ok(found)
    }

    /// Those of some paths that are committed.
    pub async fn committed(&self, paths: &[StorePath]) -> Result<Vec<Publishable>> {
        let mut found = Vec::new();
        for chunk in paths.chunks(ROWS) {
            let columns = publishable_columns("p", "p");
            let text = format!(
                "SELECT {columns} FROM paths p JOIN objects o ON o.id = p.object_id \
                 WHERE p.state IN ({PUBLISHING}, {PRESENT}) AND p.hash IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().map(|path| path.hash_part().to_owned()));
            let rows = query.fetch_all(&self.reader).await?;
            for row in &rows {
                let committed = publishable(row)?;
                // Another path may have the same hash part.
                if chunk.contains(&committed.path) {
                    found.push(committed);
                }
            }
        }
        Ok(found)
    }

    /// The names of paths by id.
    pub async fn names(&self, ids: &[PathId]) -> Result<HashMap<PathId, StorePath>> {
        let mut names = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "SELECT id, name FROM paths WHERE id IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query =
                in_clause::query_as(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            let rows: Vec<(PathId, PathName)> = query.fetch_all(&self.reader).await?;
            names.extend(rows.into_iter().map(|(id, name)| (id, name.into())));
        }
        Ok(names)
    }

    /// The build logs that a push has staged.
    pub async fn staged_logs(&self, push_id: PushId) -> Result<Vec<StagedLog>> {
        let empty = self.backend.empty_bytes();
        let text = format!(
            "SELECT drv, staging, size, CASE WHEN body = {empty} THEN 0 ELSE 1 END FROM push_logs WHERE push_id = $1"
        );
        let rows: Vec<(String, String, i64, i64)> = in_clause::query_as(self.backend, text, true)
            .bind(push_id)
            .fetch_all(&self.reader)
            .await?;
        let log = |(drv, staging, size, in_database)| StagedLog {
            drv,
            staging,
            size,
            in_database: in_database != 0,
        };
        Ok(rows.into_iter().map(log).collect())
    }

    /// The texts, in zstd, of build logs of a push that are in the database, by derivation.
    pub async fn log_bodies(&self, push_id: PushId, drvs: &[String]) -> Result<HashMap<String, Vec<u8>>> {
        let empty = self.backend.empty_bytes();
        let mut bodies = HashMap::with_capacity(drvs.len());
        for chunk in drvs.chunks(ROWS) {
            let text = format!(
                "SELECT drv, body FROM push_logs WHERE push_id = $1 AND body <> {empty} AND drv IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, false)
                .bind(push_id)
                .bind_all(chunk.iter().cloned());
            let rows: Vec<(String, Vec<u8>)> = query.fetch_all(&self.reader).await?;
            bodies.extend(rows);
        }
        Ok(bodies)
    }

    /// Ids of the NARs that a push has uploaded for paths that others have committed with other ones. It decides
    /// once, so that stays so.
    pub async fn nars_in_vain(&self, push_id: PushId) -> Result<Vec<ObjectId>> {
        let rows = sqlx::query_scalar(
            "SELECT DISTINCT c.object_id FROM push_paths c JOIN paths p ON p.id = c.path_id \
             WHERE c.push_id = $1 AND c.object_id <> 0 AND p.object_id <> c.object_id",
        )
        .bind(push_id)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// Those of some derivations whose build log the cache has.
    pub async fn known_logs(&self, drvs: &[String]) -> Result<Vec<String>> {
        let mut known = Vec::new();
        for chunk in drvs.chunks(ROWS) {
            let text = format!(
                "SELECT drv FROM logs WHERE state = {LOG_PRESENT} AND drv IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().cloned());
            known.extend(query.fetch_all(&self.reader).await?);
        }
        Ok(known)
    }

    /// The realisations that a push brings.
    pub async fn staged_realisations(&self, push_id: PushId) -> Result<Vec<Realised>> {
        let rows = sqlx::query_as(
            "SELECT r.key, r.path_id, r.body, q.signing_keys FROM push_realisations r \
             JOIN pushes q ON q.id = r.push_id WHERE r.push_id = $1",
        )
        .bind(push_id)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// The roots of a push.
    pub async fn roots(&self, push_id: PushId) -> Result<Vec<ClosureSummary>> {
        let names: Vec<PathName> = sqlx::query_scalar(
            "SELECT p.name FROM push_roots r JOIN paths p ON p.id = r.path_id WHERE r.push_id = $1",
        )
        .bind(push_id)
        .fetch_all(&self.reader)
        .await?;
        Ok(names
            .into_iter()
            .map(|name| ClosureSummary { root: name.into() })
            .collect())
    }
}

impl From<std::num::TryFromIntError> for CatalogError {
    fn from(_: std::num::TryFromIntError) -> Self {
        Self::Corrupt("a number out of range".into())
    }
}
