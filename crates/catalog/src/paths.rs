//! Store paths, and the claims by which a push keeps them from being collected.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};

use niks3_nix::hash::NarHash;
use niks3_nix::store_path::StorePath;
use sqlx::{AnyConnection, Row as _};

use super::columns::{PathName, codes};
use super::differences::{Differing, PushRank, differing_among};
use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::{ABSENT, PRESENT, PUBLISHING, nar_hash, pack_refs, store_path, unpack_refs};
use super::states::{CLAIM_NEEDED, CLAIM_PRESENT};
use super::{Backend, Catalog, CatalogError, ObjectId, PathId, PushId, Result, WriteTx, now};

/// Whether a claim that is repeated is about the same contents, so that what was uploaded for it stays uploaded.
const SAME: &str = "push_paths.nar_hash = excluded.nar_hash AND push_paths.nar_size = excluded.nar_size";

/// What a client says of a path it wants to push.
#[derive(Debug, Clone)]
pub struct PathMeta {
    /// The path.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: NarHash,
    /// Bytes of its NAR.
    pub nar_size: i64,
    /// Sorted, without duplicates; may name the path itself.
    pub references: Vec<StorePath>,
    /// The derivation it was built by.
    pub deriver: Option<StorePath>,
    /// Signatures it already carries, `name:base64`.
    pub sigs: Vec<String>,
    /// Content address as Nix prints it.
    pub ca: Option<String>,
}

/// Why a push holds on to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKind {
    /// It is in the cache.
    Present,
    /// It has to be uploaded.
    Needed,
    /// It is referred to, and left out on purpose.
    External,
}

codes!(ClaimKind, "claim kind", Present = 0, Needed = 1, External = 2);

/// The server's answer for one claimed path.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The path.
    pub path: StorePath,
    /// What is to be done about it.
    pub kind: ClaimKind,
    /// In what the cache has something else, which stays.
    pub conflict: Option<Differing>,
}

/// One row of a push's claims.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Id of the path.
    pub path_id: PathId,
    /// Why it is claimed.
    pub kind: ClaimKind,
    /// Bytes of the NAR as the push declared it.
    pub nar_size: i64,
    /// NAR hash as the push declared it.
    pub nar_hash: NarHash,
    /// Content address as the push declared it.
    pub ca: Option<String>,
    /// It is among its own references.
    pub refers_to_itself: bool,
    /// Id of the NAR that the push has announced for it; 0 for none.
    pub object_id: ObjectId,
    /// Staging key of the listing that the push has announced for it, or nothing.
    pub listing: String,
}

/// New names that one transaction makes rows of.
const NEW_NAMES: usize = 4_000;
/// Bytes of one reference in a packed list.
const REFERENCE_BYTES: i64 = 8;

/// What the database has of a name.
#[derive(Debug, Clone)]
struct KnownPath {
    id: PathId,
    state: i64,
}

impl WriteTx {
    /// Claims paths and what they refer to for a push, and says which the cache
    /// lacks. Claiming again is claiming once. `found` is what [`Catalog::intern_most`] returned.
    ///
    /// # Errors
    /// [`CatalogError::NameMismatch`] when the cache knows a hash part under another name.
    pub async fn claim(
        &mut self,
        push_id: PushId,
        paths: &[PathMeta],
        found: &HashMap<&StorePath, PathId>,
        rank: &PushRank<'_>,
    ) -> Result<Vec<Claimed>> {
        let known = self.intern(&claimed_names(paths), Some(found)).await?;
        self.count_references(push_id, paths, &known).await?;
        let mut claimed = Vec::with_capacity(paths.len());
        for chunk in paths.chunks(ROWS) {
            let text = format!(
                "INSERT INTO push_paths (push_id, path_id, kind, nar_hash, nar_size, refs, deriver, sigs, ca, revision) VALUES {} \
                 ON CONFLICT (push_id, path_id) DO UPDATE SET kind = excluded.kind, nar_hash = excluded.nar_hash, \
                 nar_size = excluded.nar_size, refs = excluded.refs, deriver = excluded.deriver, \
                 sigs = excluded.sigs, ca = excluded.ca, revision = excluded.revision, \
                 object_id = CASE WHEN {SAME} THEN push_paths.object_id ELSE 0 END, \
                 listing = CASE WHEN {SAME} THEN push_paths.listing ELSE '' END",
                in_clause::values(chunk.len(), 10)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            let mut committed: HashMap<PathId, usize> = HashMap::new();
            for meta in chunk {
                let row = &known[&meta.path];
                let present = matches!(row.state, PUBLISHING | PRESENT);
                let kind = if present {
                    ClaimKind::Present
                } else {
                    ClaimKind::Needed
                };
                claimed.push(Claimed {
                    path: meta.path.clone(),
                    kind,
                    conflict: None,
                });
                if present {
                    committed.insert(row.id, claimed.len() - 1);
                }
                query = query
                    .bind(push_id)
                    .bind(row.id)
                    .bind(kind)
                    .bind(meta.nar_hash.as_bytes().to_vec())
                    .bind(meta.nar_size)
                    .bind(pack_refs(
                        meta.references.iter().map(|reference| known[reference].id),
                    ))
                    .bind(meta.deriver.as_ref().map(ToString::to_string).unwrap_or_default())
                    .bind(meta.sigs.join("\n"))
                    .bind(meta.ca.clone().unwrap_or_default())
                    .bind(self.revision);
            }
            query.execute(&mut *self.tx).await?;
            let ids: Vec<PathId> = committed.keys().copied().collect();
            let mut replaced = Vec::new();
            for differing in differing_among(self.backend, &mut self.tx, push_id, rank, &ids).await? {
                let claim = &mut claimed[committed[&differing.path_id]];
                if differing.is_replaced {
                    claim.kind = ClaimKind::Needed;
                    replaced.push(differing.path_id);
                } else {
                    claim.conflict = Some(differing);
                }
            }
            self.need(push_id, &replaced).await?;
        }
        Ok(claimed)
    }

    /// Counts the references of what is about to be claimed in the row of the push, in place of those
    /// that earlier claims of the same paths had.
    async fn count_references(
        &mut self,
        push_id: PushId,
        paths: &[PathMeta],
        known: &HashMap<&StorePath, KnownPath>,
    ) -> Result<()> {
        let references: usize = paths.iter().map(|meta| meta.references.len()).sum();
        let mut change = i64::try_from(references)?;
        for chunk in paths.chunks(ROWS) {
            let text = format!(
                "SELECT CAST(COALESCE(SUM(LENGTH(refs)), 0) AS BIGINT) FROM push_paths WHERE push_id = $1 AND path_id IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS)
                .bind(push_id)
                .bind_all(chunk.iter().map(|meta| known[&meta.path].id));
            let bytes: i64 = query.fetch_one(&mut *self.tx).await?;
            change -= bytes / REFERENCE_BYTES;
        }
        sqlx::query("UPDATE pushes SET claimed_references = claimed_references + $1 WHERE id = $2")
            .bind(change)
            .bind(push_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Claims paths that a push refers to without bringing them; `left_to` is the address of the cache that has them, or
    /// nothing.
    pub async fn claim_external(
        &mut self,
        push_id: PushId,
        external: &[StorePath],
        left_to: &str,
        found: &HashMap<&StorePath, PathId>,
    ) -> Result<()> {
        let known = self.intern(&external.iter().collect(), Some(found)).await?;
        for chunk in external.chunks(ROWS) {
            let text = format!(
                "INSERT INTO push_paths (push_id, path_id, kind, revision, left_to) VALUES {} \
                 ON CONFLICT (push_id, path_id) DO NOTHING",
                in_clause::values(chunk.len(), 5)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for path in chunk {
                query = query
                    .bind(push_id)
                    .bind(known[path].id)
                    .bind(ClaimKind::External)
                    .bind(self.revision)
                    .bind(left_to.to_owned());
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Claims committed paths as they are, for a push that only writes their narinfos
    /// again; returns how many. From then on the narinfos count as lost.
    pub async fn claim_committed(&mut self, push_id: PushId, ids: &[PathId]) -> Result<u64> {
        let mut claimed = 0;
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "INSERT INTO push_paths (push_id, path_id, kind, nar_hash, nar_size, refs, deriver, sigs, ca) \
                 SELECT $1, id, {CLAIM_PRESENT}, nar_hash, nar_size, refs, deriver, sigs, ca FROM paths \
                 WHERE state IN ({PUBLISHING}, {PRESENT}) AND id IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(push_id)
                .bind_all(chunk.iter().copied());
            claimed += query.execute(&mut *self.tx).await?.rows_affected();
        }
        self.publish_again(ids).await?;
        Ok(claimed)
    }

    /// Names the roots of a push. All must be store paths the push will claim. `found` is what
    /// [`Catalog::intern_most`] returned.
    pub async fn add_roots(
        &mut self,
        push_id: PushId,
        roots: &[StorePath],
        found: &HashMap<&StorePath, PathId>,
    ) -> Result<()> {
        let known = self.intern(&roots.iter().collect(), Some(found)).await?;
        for chunk in roots.chunks(ROWS) {
            let text = format!(
                "INSERT INTO push_roots (push_id, path_id) VALUES {} ON CONFLICT DO NOTHING",
                in_clause::values(chunk.len(), 2)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for root in chunk {
                query = query.bind(push_id).bind(known[root].id);
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// The id of every name, new ones included.
    pub(super) async fn intern_ids<'p>(
        &mut self,
        names: &HashSet<&'p StorePath>,
    ) -> Result<HashMap<&'p StorePath, PathId>> {
        let known = self.intern(names, None).await?;
        Ok(known.into_iter().map(|(name, known)| (name, known.id)).collect())
    }

    /// Gives every name an id, new ones included. `found` has ids that were found before the
    /// transaction: their rows may have gone since, but never to another name.
    async fn intern<'p>(
        &mut self,
        names: &HashSet<&'p StorePath>,
        found: Option<&HashMap<&'p StorePath, PathId>>,
    ) -> Result<HashMap<&'p StorePath, KnownPath>> {
        let mut known = match found {
            None => {
                let names = distinct(names)?;
                lookup(self.backend, &mut self.tx, &names).await?
            }
            Some(found) => self.by_ids(names, found).await?,
        };
        let unknown: Vec<&StorePath> = names
            .iter()
            .copied()
            .filter(|name| !known.contains_key(*name))
            .collect();
        known.extend(self.insert_names(&unknown).await?);
        // What others have named meanwhile was not inserted.
        let missed: Vec<&StorePath> = unknown
            .into_iter()
            .filter(|name| !known.contains_key(*name))
            .collect();
        known.extend(lookup(self.backend, &mut self.tx, &missed).await?);
        Ok(known)
    }

    /// Those of some names whose rows are there under the ids that were found.
    async fn by_ids<'p>(
        &mut self,
        names: &HashSet<&'p StorePath>,
        found: &HashMap<&'p StorePath, PathId>,
    ) -> Result<HashMap<&'p StorePath, KnownPath>> {
        let by_id: HashMap<PathId, &StorePath> = names
            .iter()
            .filter_map(|name| Some((*found.get(name)?, *name)))
            .collect();
        let ids: Vec<PathId> = by_id.keys().copied().collect();
        let mut known = HashMap::with_capacity(names.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "SELECT id, state FROM paths WHERE id IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query =
                in_clause::query_as(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            for (id, state) in query.fetch_all(&mut *self.tx).await? {
                known.insert(by_id[&id], KnownPath { id, state });
            }
        }
        Ok(known)
    }

    /// Makes rows of names that have none.
    async fn insert_names<'p>(
        &mut self,
        names: &[&'p StorePath],
    ) -> Result<HashMap<&'p StorePath, KnownPath>> {
        let mut known = HashMap::with_capacity(names.len());
        let created_at = now();
        for chunk in names.chunks(ROWS) {
            let text = format!(
                "INSERT INTO paths (hash, name, created_at) VALUES {} ON CONFLICT (hash) DO NOTHING RETURNING id, hash",
                in_clause::values(chunk.len(), 3)
            );
            let mut query = in_clause::query_as(self.backend, text, chunk.len() == ROWS);
            for path in chunk {
                query = query
                    .bind(path.hash_part().to_owned())
                    .bind(path.to_string())
                    .bind(created_at);
            }
            let by_hash: HashMap<&str, &StorePath> =
                chunk.iter().map(|path| (path.hash_part(), *path)).collect();
            let rows: Vec<(PathId, String)> = query.fetch_all(&mut *self.tx).await?;
            for (id, hash) in rows {
                let path = by_hash
                    .get(hash.as_str())
                    .ok_or_else(|| CatalogError::Corrupt(format!("hash part {hash}")))?;
                let row = KnownPath { id, state: ABSENT };
                known.insert(*path, row);
            }
        }
        Ok(known)
    }
}

impl Catalog {
    /// The ids of names, before the transaction that claims them: what takes long for many names is done
    /// without keeping other writers waiting. New names get rows here until at most [`NEW_NAMES`] are left
    /// for that transaction. A row that nothing refers to yet may go again; the transaction looks.
    ///
    /// # Errors
    /// [`CatalogError::NameMismatch`] when the cache knows a hash part under another name, or two of the
    /// names have one.
    pub async fn intern_most<'p>(
        &self,
        names: &HashSet<&'p StorePath>,
    ) -> Result<HashMap<&'p StorePath, PathId>> {
        let names = distinct(names)?;
        let mut reader = self.reader.acquire().await?;
        let known = lookup(self.backend, &mut reader, &names).await?;
        drop(reader);
        let mut found: HashMap<&StorePath, PathId> =
            known.into_iter().map(|(name, known)| (name, known.id)).collect();
        let unknown: Vec<&StorePath> = names
            .into_iter()
            .filter(|name| !found.contains_key(*name))
            .collect();
        let surplus = unknown.len().saturating_sub(NEW_NAMES);
        for chunk in unknown[..surplus].chunks(NEW_NAMES) {
            let mut tx = self.write().await?;
            let inserted = tx.insert_names(chunk).await?;
            tx.commit().await?;
            found.extend(inserted.into_iter().map(|(name, known)| (name, known.id)));
        }
        Ok(found)
    }
}

/// The names that a claim needs the ids of.
pub fn claimed_names(paths: &[PathMeta]) -> HashSet<&StorePath> {
    let mut names = HashSet::with_capacity(paths.len());
    for meta in paths {
        names.insert(&meta.path);
        names.extend(&meta.references);
    }
    names
}

/// The names as a list, if no two of them have one hash part.
fn distinct<'p>(names: &HashSet<&'p StorePath>) -> Result<Vec<&'p StorePath>> {
    let hashes: HashSet<&str> = names.iter().map(|name| name.hash_part()).collect();
    if hashes.len() != names.len() {
        return Err(two_names(names.iter().copied()));
    }
    Ok(names.iter().copied().collect())
}

/// The rows of those names that have one.
async fn lookup<'p>(
    backend: Backend,
    connection: &mut AnyConnection,
    names: &[&'p StorePath],
) -> Result<HashMap<&'p StorePath, KnownPath>> {
    let mut known = HashMap::with_capacity(names.len());
    for chunk in names.chunks(ROWS) {
        let by_hash: HashMap<&str, &StorePath> = chunk.iter().map(|path| (path.hash_part(), *path)).collect();
        let text = format!(
            "SELECT id, hash, name, state FROM paths WHERE hash IN ({})",
            in_clause::placeholders(1, chunk.len())
        );
        let query = in_clause::query_as(backend, text, chunk.len() == ROWS)
            .bind_all(chunk.iter().map(|path| path.hash_part().to_owned()));
        let rows: Vec<(PathId, String, String, i64)> = query.fetch_all(&mut *connection).await?;
        for (id, hash, name, state) in rows {
            let path = by_hash
                .get(hash.as_str())
                .ok_or_else(|| CatalogError::Corrupt(format!("hash part {hash}")))?;
            if path.to_string() != name {
                return Err(CatalogError::NameMismatch(format!(
                    "the cache knows {path} as {name}: a hash part belongs to one name"
                )));
            }
            known.insert(*path, KnownPath { id, state });
        }
    }
    Ok(known)
}

/// Says which two of some names have one hash part.
fn two_names<'p>(names: impl Iterator<Item = &'p StorePath>) -> CatalogError {
    let mut seen: HashMap<&str, &StorePath> = HashMap::new();
    for name in names {
        if let Some(other) = seen.insert(name.hash_part(), name)
            && other != name
        {
            let (one, other) = (name.min(other), name.max(other));
            return CatalogError::NameMismatch(format!(
                "{one} and {other} have one hash part, which belongs to one name"
            ));
        }
    }
    CatalogError::NameMismatch("two names have one hash part".into())
}

/// Claims of one request that are worth counting.
const MANY: usize = 2_000;
/// Seconds for which what was counted is good enough: as long as autovacuum waits, which counts sooner or later, too.
const COUNTED_FOR: i64 = 60;
/// When claims were counted last, in Unix seconds.
static COUNTED: AtomicI64 = AtomicI64::new(0);

impl Catalog {
    /// Lets PostgreSQL count the claims after a request with so many, at most once a minute. Until it has, it takes any push for a
    /// small one, and reads all that it claims for every few that are looked up.
    pub async fn count_claims(&self, new: usize) -> Result<()> {
        let (now, last) = (now(), COUNTED.load(Ordering::Relaxed));
        let due = new >= MANY && !(last..last + COUNTED_FOR).contains(&now);
        if self.backend == Backend::Postgres
            && due
            && COUNTED
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            sqlx::query("ANALYZE push_paths").execute(&self.writer).await?;
        }
        Ok(())
    }

    /// The claim that a push has on a path, if any.
    pub async fn claim_of(&self, push_id: PushId, path: &StorePath) -> Result<Option<Claim>> {
        Ok(self
            .claims_of(push_id, std::slice::from_ref(path))
            .await?
            .remove(path))
    }

    /// The claims that a push has among some paths.
    pub async fn claims_of(&self, push_id: PushId, paths: &[StorePath]) -> Result<HashMap<StorePath, Claim>> {
        let mut claims = HashMap::with_capacity(paths.len());
        for chunk in paths.chunks(ROWS) {
            // One look into the index for each path: of their own, SQLite, and PostgreSQL as long as it has no statistics of
            // the push, would read all that the push claims for every chunk.
            let claim = match self.backend {
                Backend::Sqlite => "push_paths c",
                Backend::Postgres => {
                    "LATERAL (SELECT * FROM push_paths WHERE push_id = $1 AND path_id = p.id OFFSET 0) c"
                }
            };
            let text = format!(
                "SELECT p.name, p.id, c.kind, c.nar_size, c.nar_hash, c.object_id, c.listing, c.ca, c.refs \
                 FROM paths p CROSS JOIN {claim} \
                 WHERE c.push_id = $1 AND c.path_id = p.id AND p.hash IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(push_id)
                .bind_all(chunk.iter().map(|path| path.hash_part().to_owned()));
            for row in query.fetch_all(&self.reader).await? {
                let kind: ClaimKind = row.try_get("kind")?;
                if kind == ClaimKind::External {
                    continue;
                }
                let path_id = row.try_get("id")?;
                let ca: String = row.try_get("ca")?;
                // Of interest with a content address only.
                let refers_to_itself =
                    !ca.is_empty() && unpack_refs(&row.try_get::<Vec<u8>, _>("refs")?)?.contains(&path_id);
                let claim = Claim {
                    path_id,
                    ca: (!ca.is_empty()).then_some(ca),
                    refers_to_itself,
                    kind,
                    nar_size: row.try_get("nar_size")?,
                    nar_hash: nar_hash(&row.try_get::<Vec<u8>, _>("nar_hash")?)?,
                    object_id: row.try_get("object_id")?,
                    listing: row.try_get("listing")?,
                };
                claims.insert(store_path(&row.try_get::<String, _>("name")?)?, claim);
            }
        }
        Ok(claims)
    }

    /// The paths with those contents that a push has to upload.
    pub async fn claims_by_contents(
        &self,
        push_id: PushId,
        nar_hash: NarHash,
        nar_size: i64,
    ) -> Result<HashMap<StorePath, Claim>> {
        let rows: Vec<PathName> = in_clause::query_scalar(
            self.backend,
            format!(
                "SELECT p.name FROM push_paths c JOIN paths p ON p.id = c.path_id \
             WHERE c.push_id = $1 AND c.kind = {CLAIM_NEEDED} AND c.nar_hash = $2 AND c.nar_size = $3"
            ),
            true,
        )
        .bind(push_id)
        .bind(nar_hash.as_bytes().to_vec())
        .bind(nar_size)
        .fetch_all(&self.reader)
        .await?;
        let paths: Vec<StorePath> = rows.into_iter().map(StorePath::from).collect();
        self.claims_of(push_id, &paths).await
    }

    /// Key and bytes of the NAR of each of some paths that the cache has.
    pub async fn nar_keys(&self, paths: &[StorePath]) -> Result<BTreeMap<StorePath, (String, i64)>> {
        let mut keys = BTreeMap::new();
        for chunk in paths.chunks(ROWS) {
            let text = format!(
                "SELECT p.name, o.key, o.size FROM paths p JOIN objects o ON o.id = p.object_id \
                 WHERE p.state IN ({PUBLISHING}, {PRESENT}) AND p.hash IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().map(|path| path.hash_part().to_owned()));
            let rows: Vec<(PathName, String, i64)> = query.fetch_all(&self.reader).await?;
            for (name, key, size) in rows {
                keys.insert(name.into(), (key, size));
            }
        }
        Ok(keys)
    }
}
