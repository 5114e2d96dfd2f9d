//! Contents that a push with a higher-ranked key has replaced: what takes their place, and for how long they stay readable.

use std::collections::HashMap;

use niks3_nix::store_path::StorePath;
use sqlx::Row as _;

use super::columns::{PathName, References};
use super::commits::CommitAttempt;
use super::differences::{DIFFERS, Held, PushRank, REPLACEMENTS_PERIOD, held_columns};
use super::in_clause::{self, BindAll as _, ROWS};
use super::objects::{OBJECT_PRESENT, is_read};
use super::path_columns::{self, LISTING_REPLACED, PRESENT, PUBLISHING};
use super::publish::{publishable, publishable_columns};
use super::states::{CLAIM_EXTERNAL, CLAIM_NEEDED, PUSH_COMMITTING};
use super::{
    Catalog, ObjectId, Owned, PathId, Publishable, PushId, ReplacementId, Result, SeenReferences, WriteTx,
    now,
};

/// What one move replaces contents for.
#[derive(Debug, Clone, Copy)]
pub struct Replacement<'a> {
    /// The attempt to commit the push that does.
    pub attempt: &'a CommitAttempt,
    /// Whose push it is.
    pub identity: &'a str,
    /// The rank of what it signs.
    pub rank: PushRank<'a>,
    /// Seconds for which the replaced contents stay.
    pub keep: i64,
    /// Paths whose references alone the push replaces, by id, with those that they had when that was decided.
    pub ties: &'a HashMap<PathId, Vec<PathId>>,
}

/// A replacement that has happened.
#[derive(Debug, Clone)]
pub struct Replaced {
    /// The NAR hash before and after.
    pub nar_hash: (String, String),
    /// Names of the keys that have signed the contents before and after, one a line.
    pub signed_by: (String, String),
    /// Whose push it was.
    pub identity: String,
    /// Unix time.
    pub replaced_at: i64,
    /// Unix time until which the contents before it stay.
    pub kept_until: i64,
}

/// Replaced contents that a garbage collection keeps.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct KeptContents {
    /// Id of the replacement.
    pub id: ReplacementId,
    /// Id of the NAR.
    pub object_id: ObjectId,
    /// Ids of the paths that the narinfo referred to.
    #[sqlx(try_from = "References")]
    pub refs: Vec<PathId>,
}

/// The NAR that a path has after a replacement, and the claims that can bring it: the one uploaded by whoever needs it, or
/// the one that is there where references alone are replaced.
fn brought(tied: bool) -> (&'static str, String) {
    match tied {
        true => ("p.object_id", format!("c.kind <> {CLAIM_EXTERNAL}")),
        false => ("c.object_id", format!("c.kind = {CLAIM_NEEDED}")),
    }
}

impl Catalog {
    /// What a push would make of some committed paths whose contents it replaces, or, when they are `tied`, whose references
    /// alone. No key of a NAR when none was announced.
    pub async fn replacement_offers(
        &self,
        push_id: PushId,
        ids: &[PathId],
        tied: bool,
    ) -> Result<Vec<Publishable>> {
        let (object, kind) = brought(tied);
        let mut offers = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let columns = publishable_columns("c", "q");
            let text = format!(
                "SELECT {columns} FROM push_paths c JOIN pushes q ON q.id = c.push_id \
                 JOIN paths p ON p.id = c.path_id LEFT JOIN objects o ON o.id = {object} \
                 WHERE c.push_id = $1 AND {kind} AND c.path_id IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(push_id)
                .bind_all(chunk.iter().copied());
            for row in query.fetch_all(&self.reader).await? {
                offers.push(publishable(&row)?);
            }
        }
        Ok(offers)
    }

    /// The paths whose contents a push has replaced.
    pub async fn replaced_by(&self, push_id: PushId) -> Result<Vec<StorePath>> {
        let names: Vec<PathName> = sqlx::query_scalar(
            "SELECT DISTINCT p.name FROM replacements r JOIN paths p ON p.id = r.path_id JOIN pushes q ON q.token = r.push \
             WHERE q.id = $1 ORDER BY p.name",
        )
        .bind(push_id)
        .fetch_all(&self.reader)
        .await?;
        Ok(names.into_iter().map(StorePath::from).collect())
    }

    /// How many of the paths that a push brings have NARs that the server has read.
    pub async fn verified_paths(&self, push_id: PushId) -> Result<u64> {
        let number: i64 = in_clause::query_scalar(
            self.backend,
            format!(
                "SELECT COUNT(*) FROM push_paths c JOIN verifications v ON v.object_id = c.object_id \
             WHERE c.push_id = $1 AND c.kind = {CLAIM_NEEDED} AND v.flaw = ''"
            ),
            true,
        )
        .bind(push_id)
        .fetch_one(&self.reader)
        .await?;
        Ok(number.unsigned_abs())
    }

    /// The replacements of the contents of a path, the latest first.
    pub async fn replacements_of(&self, path: &StorePath) -> Result<Vec<Replaced>> {
        let rows = sqlx::query(
            "SELECT r.nar_hash, r.new_nar_hash, r.signed_by, r.new_signed_by, r.identity, r.replaced_at, r.kept_until \
             FROM replacements r JOIN paths p ON p.id = r.path_id WHERE p.hash = $1 ORDER BY r.id DESC LIMIT 100",
        )
        .bind(path.hash_part().to_owned())
        .fetch_all(&self.reader)
        .await?;
        let hash = |bytes: Vec<u8>| Ok::<_, super::CatalogError>(path_columns::nar_hash(&bytes)?.to_string());
        rows.iter()
            .map(|row| {
                Ok(Replaced {
                    nar_hash: (
                        hash(row.try_get("nar_hash")?)?,
                        hash(row.try_get("new_nar_hash")?)?,
                    ),
                    signed_by: (row.try_get("signed_by")?, row.try_get("new_signed_by")?),
                    identity: row.try_get("identity")?,
                    replaced_at: row.try_get("replaced_at")?,
                    kept_until: row.try_get("kept_until")?,
                })
            })
            .collect()
    }

    /// Paths whose contents were replaced so long ago that nobody can still be writing the narinfo before, and whose
    /// narinfo has not been written again since; with the ids of the replacements. A push that is being committed
    /// and knew the contents before may still write them.
    pub async fn replacements_to_write(
        &self,
        before: i64,
        limit: i64,
    ) -> Result<Vec<(ReplacementId, PathId)>> {
        let rows = in_clause::query_as(self.backend, format!("SELECT r.id, r.path_id FROM replacements r WHERE r.written = 0 AND r.replaced_at <= $1 AND NOT EXISTS \
             (SELECT 1 FROM push_paths c JOIN pushes q ON q.id = c.push_id WHERE c.path_id = r.path_id AND c.kind <> {CLAIM_EXTERNAL} \
             AND q.state = {PUSH_COMMITTING} AND q.created_at <= r.replaced_at) ORDER BY r.id LIMIT $2"), true)
        .bind(before)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }
}

impl WriteTx {
    /// Replaces the contents of committed paths by those that a push has claimed, verified and uploaded, where it still
    /// outranks them. `last` is the number of the last move that the caller knows of.
    pub async fn replace(
        &mut self,
        replacement: &Replacement<'_>,
        slice: &[PathId],
        seen: &mut SeenReferences,
        (last, taken): (i64, usize),
    ) -> Result<Owned> {
        let Replacement { attempt, rank, .. } = replacement;
        let Some(keys) = self.signing_keys_of(attempt).await? else {
            return Ok(Owned::Over);
        };
        if self.publications().await? != last
            && !self
                .references_unchanged(attempt.push_id, seen, i64::try_from(taken)?)
                .await?
        {
            return Ok(Owned::Changed);
        }
        let signed_by = rank.signer.chosen_names(&keys);
        let publication = self.next_publication().await?;
        let mut replaced = Vec::new();
        for id in slice {
            if self.replaced(replacement, *id, &signed_by).await? {
                let keys = (keys.to_text(), signed_by.clone());
                let tied = replacement.ties.contains_key(id);
                self.take_place(attempt.push_id, *id, tied, keys, publication)
                    .await?;
                replaced.push(*id);
            }
        }
        if !replaced.is_empty() {
            // Whoever has walked the references of these paths looks again; this push knows of it.
            self.replaced_paths().await?;
            seen.add_own_replacement();
            self.note_for_collection(&replaced).await?;
            sqlx::query("UPDATE pushes SET paths_added = paths_added + $1 WHERE id = $2")
                .bind(i64::try_from(replaced.len())?)
                .bind(attempt.push_id)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(Owned::Paths {
            taken: replaced,
            publication,
        })
    }

    /// Writes down what is about to be replaced; false when the push does not outrank it any more, or what it brings is
    /// not there or has not been read.
    async fn replaced(&mut self, by: &Replacement<'_>, path_id: PathId, signed_by: &str) -> Result<bool> {
        let tie = by.ties.get(&path_id);
        let (object, kind) = brought(tie.is_some());
        let text = format!(
            "SELECT {}, p.refs AS cached_refs \
             FROM push_paths c JOIN paths p ON p.id = c.path_id JOIN objects o ON o.id = {object} \
             WHERE c.push_id = $1 AND c.path_id = $2 AND {kind} AND p.state IN ({PUBLISHING}, {PRESENT}) AND {DIFFERS} \
             AND o.state = {OBJECT_PRESENT} AND {}",
            held_columns("$3"),
            is_read("o.id", "c")
        );
        let now = now();
        let row = in_clause::query(self.backend, text, true)
            .bind(by.attempt.push_id)
            .bind(path_id)
            .bind(now - REPLACEMENTS_PERIOD)
            .fetch_optional(&mut *self.tx)
            .await?;
        let Some(row) = row else { return Ok(false) };
        let held = Held::of(&row)?;
        let of_same_rank = by.rank.ties(&held);
        let outranked = match tie {
            Some(judged) => {
                (of_same_rank || by.rank.replaces(&held))
                    && path_columns::unpack_refs(&row.try_get::<Vec<u8>, _>("cached_refs")?)? == *judged
            }
            None => by.rank.replaces(&held),
        };
        if !outranked {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO replacements (path_id, object_id, nar_hash, nar_size, refs, signed_by, new_nar_hash, new_signed_by, \
             identity, replaced_at, kept_until, tied, push) SELECT p.id, p.object_id, p.nar_hash, p.nar_size, p.refs, p.signed_by, c.nar_hash, \
             $1, $2, $3, $4, $7, q.token FROM push_paths c JOIN paths p ON p.id = c.path_id JOIN pushes q ON q.id = c.push_id WHERE c.push_id = $5 AND c.path_id = $6",
        )
        .bind(signed_by.to_owned())
        .bind(by.identity.to_owned())
        .bind(now)
        .bind(now.saturating_add(by.keep))
        .bind(by.attempt.push_id)
        .bind(path_id)
        .bind(i64::from(of_same_rank))
        .execute(&mut *self.tx)
        .await?;
        // The log of the derivation before is kept as long as the path.
        sqlx::query(
            "INSERT INTO path_derivers (path_id, drv) SELECT id, deriver FROM paths WHERE id = $1 AND deriver <> '' \
             ON CONFLICT DO NOTHING",
        )
        .bind(path_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(true)
    }

    async fn take_place(
        &mut self,
        push_id: PushId,
        path_id: PathId,
        tied: bool,
        (signing_keys, signed_by): (String, String),
        publication: i64,
    ) -> Result<()> {
        // Where references alone are replaced, NAR and listing stay as they are.
        let contents = match tied {
            true => String::new(),
            false => format!(
                "object_id = c.object_id, listing = '{LISTING_REPLACED}', \
                 listing_size = (SELECT v.listing_size FROM verifications v WHERE v.object_id = c.object_id), "
            ),
        };
        let text = format!(
            "UPDATE paths SET {contents}state = {PUBLISHING}, nar_hash = c.nar_hash, nar_size = c.nar_size, refs = c.refs, \
             deriver = c.deriver, sigs = c.sigs, ca = c.ca, signing_keys = $1, signed_by = $2, publication = $3 \
             FROM push_paths c WHERE c.push_id = $4 AND c.path_id = $5 AND paths.id = c.path_id"
        );
        in_clause::query(self.backend, text, true)
            .bind(signing_keys)
            .bind(signed_by)
            .bind(publication)
            .bind(push_id)
            .bind(path_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Replaced contents that are kept, of replacements after one, in their order.
    pub async fn kept_contents(&mut self, after: ReplacementId) -> Result<Vec<KeptContents>> {
        let rows = sqlx::query_as(
            "SELECT id, COALESCE(object_id, 0) AS object_id, refs FROM replacements WHERE id > $1 AND kept_until > $2 ORDER BY id",
        )
        .bind(after)
        .bind(now())
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }

    /// Stops keeping replaced contents that have been kept long enough. Debug information that points into them is then
    /// unknown, so that a repair deletes it.
    pub async fn end_replacements(&mut self) -> Result<()> {
        let now = now();
        let empty = self.backend.empty_bytes();
        sqlx::query(
            "DELETE FROM debug_infos WHERE EXISTS (SELECT 1 FROM replacements r WHERE r.path_id = debug_infos.path_id \
             AND r.kept_until <= $1 AND r.object_id IS NOT NULL AND debug_infos.created_at <= r.replaced_at)",
        )
        .bind(now)
        .execute(&mut *self.tx)
        .await?;
        let text = format!(
            "UPDATE replacements SET object_id = NULL, refs = {empty} WHERE kept_until <= $1 \
             AND (object_id IS NOT NULL OR refs <> {empty})"
        );
        in_clause::query(self.backend, text, true)
            .bind(now)
            .execute(&mut *self.tx)
            .await?;
        sqlx::query("DELETE FROM replacements WHERE kept_until <= $1 AND replaced_at <= $2")
            .bind(now)
            .bind(now - REPLACEMENTS_PERIOD)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Says that the narinfos of some replacements have been written again.
    pub async fn replacements_written(&mut self, ids: &[ReplacementId]) -> Result<()> {
        self.on_ids(ids, |ids| {
            format!("UPDATE replacements SET written = 1 WHERE id IN ({ids})")
        })
        .await?;
        Ok(())
    }
}
