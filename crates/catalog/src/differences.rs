//! Committed paths of which a push says something else than the cache has, and whether it replaces them.

use std::collections::HashSet;

use futures::TryStreamExt as _;
use niks3_base::nar_contents::WantedHash;
use niks3_base::signing::{KeyChoice, Rank, Signer};
use niks3_nix::ca::ContentAddress;
use niks3_nix::hash::NarHash;
use niks3_nix::store_path::StorePath;
use sqlx::AnyConnection;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::in_clause::{self, BindAll as _, ROWS};
use super::objects::{OBJECT_PRESENT, is_read};
use super::path_columns::{self, PRESENT, PUBLISHING};
use super::publish::{self, publishable_columns};
use super::states::{CLAIM_EXTERNAL, CLAIM_NEEDED};
use super::{Backend, Catalog, ClaimKind, ObjectId, PathId, Publishable, PushId, Result, WriteTx, now};

/// Replacements of one path in a day: two owners of one key rank cannot take turns, but keys can be added.
const MAX_REPLACEMENTS: i64 = 10;
/// The seconds in which they are counted.
pub(super) const REPLACEMENTS_PERIOD: i64 = 24 * 3600;
/// References of one side that a conflict names.
const MAX_SHOWN: usize = 10;

/// The columns of [`Held`], of `paths p`: `since` is the parameter with the time from which replacements are counted.
///
/// Those by a higher rank and those within one are counted apart, so that a lower rank does not use up what a higher one may
/// do.
pub(super) fn held_columns(since: &str) -> String {
    let of = |tied: &str| {
        format!(
            "(SELECT COUNT(*) FROM replacements r WHERE r.path_id = p.id AND r.replaced_at > {since} AND r.tied {tied} 0)"
        )
    };
    let read = is_read("p.object_id", "p");
    format!(
        "p.signed_by AS held_by, p.ca AS held_ca, CASE WHEN {read} THEN 1 ELSE 0 END AS held_read, {} AS higher, {} AS tied",
        of("="),
        of("<>")
    )
}

/// What a path has that is to be replaced.
#[derive(Debug)]
pub(super) struct Held {
    /// Names of the keys that have signed it, one a line.
    pub signed_by: String,
    /// Its content address, or nothing.
    pub ca: String,
    /// The server has read its NAR.
    pub is_read: bool,
    /// Replacements of it lately, by higher ranks and within one.
    pub lately: (i64, i64),
}

impl Held {
    /// Reads [`held_columns`].
    pub fn of(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            signed_by: row.try_get("held_by")?,
            ca: row.try_get("held_ca")?,
            is_read: row.try_get::<i64, _>("held_read")? == 1,
            lately: (row.try_get("higher")?, row.try_get("tied")?),
        })
    }

    /// Nobody else can have brought other contents under that name: it is addressed by its contents, and the server has
    /// read them.
    fn is_proven(&self) -> bool {
        let Ok(ca) = self.ca.parse::<ContentAddress>() else {
            return false;
        };
        self.is_read && WantedHash::can_check(&ca)
    }
}

/// A claim says something else than the cache has. The deriver is not compared: equal contents can be built by several.
pub(super) const DIFFERS: &str =
    "(c.nar_hash <> p.nar_hash OR c.nar_size <> p.nar_size OR c.refs <> p.refs OR c.ca <> p.ca)";

/// The rank of what a push signs.
#[derive(Debug, Clone, Copy)]
pub struct PushRank<'a> {
    /// The keys of the server, in their order.
    pub signer: &'a Signer,
    /// The rank of the highest key that signs for the push.
    pub rank: Rank,
}

impl<'a> PushRank<'a> {
    /// The rank of what some keys sign.
    #[must_use]
    pub fn of(signer: &'a Signer, keys: &KeyChoice) -> Self {
        Self {
            signer,
            rank: signer.rank(keys),
        }
    }

    /// Whether the push replaces other contents of a path, unless their address proves them right.
    pub(super) fn replaces(&self, held: &Held) -> bool {
        self.rank > self.signer.rank_of_names(&held.signed_by)
            && !held.is_proven()
            && held.lately.0 < MAX_REPLACEMENTS
    }

    /// Whether the push is of the rank of those who brought a path, so that their references may take the place of each
    /// other; a content address is made of references.
    pub(super) fn ties(&self, held: &Held) -> bool {
        self.rank == self.signer.rank_of_names(&held.signed_by)
            && held.ca.is_empty()
            && held.lately.1 < MAX_REPLACEMENTS
    }
}

/// Those of some ids that others lack, in their order.
pub fn missing_from(other: &[PathId], own: &[PathId]) -> Vec<PathId> {
    let other: HashSet<&PathId> = other.iter().collect();
    own.iter().copied().filter(|id| !other.contains(id)).collect()
}

/// References that only one side has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferencesOfOneSide {
    /// Ids of some of them.
    pub shown: Vec<PathId>,
    /// How many more there are.
    pub more: usize,
}

impl ReferencesOfOneSide {
    fn new(own: &[PathId], other: &[PathId]) -> Self {
        let mut only = missing_from(other, own);
        let more = only.len().saturating_sub(MAX_SHOWN);
        only.truncate(MAX_SHOWN);
        Self { shown: only, more }
    }
}

/// A committed path of which a push says something else: of each field, what the cache has and what was claimed.
#[derive(Debug, Clone)]
pub struct Differing {
    /// Id of the path.
    pub path_id: PathId,
    /// The path.
    pub path: StorePath,
    /// Why the push claims it.
    pub kind: ClaimKind,
    /// SHA-256 of the NAR.
    pub nar_hash: (NarHash, NarHash),
    /// Bytes of the NAR.
    pub nar_size: (i64, i64),
    /// References that only one of them has.
    pub references: (ReferencesOfOneSide, ReferencesOfOneSide),
    /// Content address, or nothing.
    pub ca: (String, String),
    /// The push brings contents that take the place of those in the cache.
    pub is_replaced: bool,
    /// References alone differ.
    pub has_same_nar: bool,
    /// References alone differ, and the NAR tells which of them the path has.
    pub is_tied: bool,
}

fn differing(row: &AnyRow, push: &PushRank<'_>) -> Result<Differing> {
    let (cached, claimed) = (
        path_columns::unpack_refs(&row.try_get::<Vec<u8>, _>("refs")?)?,
        path_columns::unpack_refs(&row.try_get::<Vec<u8>, _>("claimed_refs")?)?,
    );
    let ca: (String, String) = (row.try_get("ca")?, row.try_get("claimed_ca")?);
    let held = Held::of(row)?;
    let nar_hash = (
        path_columns::nar_hash(&row.try_get::<Vec<u8>, _>("nar_hash")?)?,
        path_columns::nar_hash(&row.try_get::<Vec<u8>, _>("claimed_hash")?)?,
    );
    let nar_size: (i64, i64) = (row.try_get("nar_size")?, row.try_get("claimed_size")?);
    let same_nar = nar_hash.0 == nar_hash.1 && nar_size.0 == nar_size.1 && ca.0 == ca.1;
    Ok(Differing {
        path_id: row.try_get("path_id")?,
        path: path_columns::store_path(&row.try_get::<String, _>("name")?)?,
        kind: row.try_get("kind")?,
        nar_hash,
        nar_size,
        references: (
            ReferencesOfOneSide::new(&cached, &claimed),
            ReferencesOfOneSide::new(&claimed, &cached),
        ),
        is_replaced: push.replaces(&held),
        has_same_nar: same_nar,
        is_tied: same_nar && push.ties(&held),
        ca,
    })
}

fn question(also: &str) -> String {
    format!(
        "SELECT p.id AS path_id, p.name, c.kind, p.nar_hash, p.nar_size, p.refs, p.ca, c.nar_hash AS claimed_hash, \
         c.nar_size AS claimed_size, c.refs AS claimed_refs, c.ca AS claimed_ca, {} \
         FROM push_paths c JOIN paths p ON p.id = c.path_id WHERE c.push_id = $1 AND c.kind <> {CLAIM_EXTERNAL} \
         AND p.state IN ({PUBLISHING}, {PRESENT}) AND {DIFFERS} {also}",
        held_columns("$2")
    )
}

/// Those of some claimed paths that are committed with something else.
pub(super) async fn differing_among(
    backend: Backend,
    connection: &mut AnyConnection,
    push_id: PushId,
    push: &PushRank<'_>,
    ids: &[PathId],
) -> Result<Vec<Differing>> {
    let mut found = Vec::new();
    for chunk in ids.chunks(ROWS) {
        let among = format!("AND c.path_id IN ({})", in_clause::placeholders(3, chunk.len()));
        let query = in_clause::query(backend, question(&among), chunk.len() == ROWS)
            .bind(push_id)
            .bind(now() - REPLACEMENTS_PERIOD)
            .bind_all(chunk.iter().copied());
        // One by one, since lists of references are long.
        let mut rows = query.fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            found.push(differing(&row, push)?);
        }
    }
    Ok(found)
}

impl Catalog {
    /// The paths that a push claims and that are committed with something else than it says.
    pub async fn differing(&self, push_id: PushId, push: &PushRank<'_>) -> Result<Vec<Differing>> {
        let mut found = Vec::new();
        let mut rows = in_clause::query(self.backend, question(""), true)
            .bind(push_id)
            .bind(now() - REPLACEMENTS_PERIOD)
            .fetch(&self.reader);
        while let Some(row) = rows.try_next().await? {
            found.push(differing(&row, push)?);
        }
        Ok(found)
    }
}

/// References of which a NAR tells which set a path has.
#[derive(Debug, Clone)]
pub struct Tied {
    /// The path as it is in the cache.
    pub cached: Publishable,
    /// Id of its NAR.
    pub object_id: ObjectId,
    /// Ids of the references that the push claims.
    pub claimed: Vec<PathId>,
}

impl Catalog {
    /// Some paths that a push claims with other references than the cache has.
    pub async fn tied(&self, push_id: PushId, ids: &[PathId]) -> Result<Vec<Tied>> {
        let mut tied = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let columns = publishable_columns("p", "p");
            let text = format!(
                "SELECT {columns}, p.object_id AS object_id, c.refs AS claimed FROM push_paths c \
                 JOIN paths p ON p.id = c.path_id JOIN objects o ON o.id = p.object_id \
                 WHERE c.push_id = $1 AND c.kind <> {CLAIM_EXTERNAL} AND o.state = {OBJECT_PRESENT} AND p.state IN ({PUBLISHING}, {PRESENT}) \
                 AND c.path_id IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(push_id)
                .bind_all(chunk.iter().copied());
            for row in query.fetch_all(&self.reader).await? {
                tied.push(Tied {
                    cached: publish::publishable(&row)?,
                    object_id: row.try_get("object_id")?,
                    claimed: path_columns::unpack_refs(&row.try_get::<Vec<u8>, _>("claimed")?)?,
                });
            }
        }
        Ok(tied)
    }
}

impl WriteTx {
    /// Has a push bring some paths that it found in the cache, since its contents take their place.
    pub async fn need(&mut self, push_id: PushId, ids: &[PathId]) -> Result<()> {
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE push_paths SET kind = {CLAIM_NEEDED} WHERE push_id = $1 AND path_id IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(push_id)
                .bind_all(chunk.iter().copied());
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids<const N: usize>(numbers: [i64; N]) -> Vec<PathId> {
        numbers.map(PathId::from).to_vec()
    }

    #[test]
    fn references_of_one_side_are_named_up_to_a_bound() {
        let side = ReferencesOfOneSide::new(&ids([1, 2, 3]), &ids([2]));
        assert_eq!((side.shown, side.more), (ids([1, 3]), 0));
        let many: Vec<PathId> = (0..25).map(PathId::from).collect();
        let side = ReferencesOfOneSide::new(&many, &[]);
        assert_eq!((side.shown.len(), side.more), (MAX_SHOWN, 15));
    }
}
