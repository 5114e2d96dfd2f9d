//! Deciding what a push adds, slice by slice: every path that it provides and that is still absent
//! becomes its own. The first writer wins: what another push has committed meanwhile stays as it is.
//!
//! The caller passes paths in such an order that each comes after all that it refers to. So at the
//! end of each slice every decided path refers only to decided ones, to committed ones, and to those
//! that a push has left out on purpose: it can be published by whoever comes next, even if the rest
//! of its push never follows.

use niks3_base::signing::{KeyChoice, Signer, union_of_names};
use niks3_nix::store_path::StorePath;

use super::columns::{Keys, PathName};
use super::commits::CommitAttempt;
use super::in_clause::{self, BindAll as _, ROWS};
use super::objects::{OBJECT_PRESENT, is_read};
use super::path_columns::{self, ABSENT, DELETING, PRESENT, PUBLISHING};
use super::states::{CLAIM_EXTERNAL, CLAIM_NEEDED, PUSH_COMMITTING};
use super::{Catalog, CatalogError, CommitClaim, PathId, PushId, Result, SeenReferences, WriteTx, now};

/// What one slice of a decision has done.
#[derive(Debug)]
pub enum Owned {
    /// Ids of the paths that are the push's from now on, and the number of that move.
    Paths {
        /// Ids of the paths.
        taken: Vec<PathId>,
        /// The number of the move.
        publication: i64,
    },
    /// What the push refers to may not be as it was looked at any more; nothing may be committed.
    Changed,
    /// A lease has run out, or the push has ended.
    Over,
}

impl WriteTx {
    /// Makes those of some claimed paths the push's that are still absent and whose NAR is in the
    /// bucket. `last` is the number of the last move that the caller knows of, after which it has made
    /// `taken` paths the push's: if there were others since, it is asked what they mean for the push.
    pub async fn claim_ownership(
        &mut self,
        attempt: &CommitAttempt,
        slice: &[&CommitClaim],
        seen: &SeenReferences,
        (last, taken): (i64, usize),
        signer: &Signer,
    ) -> Result<Owned> {
        let Some(keys) = self.signing_keys_of(attempt).await? else {
            return Ok(Owned::Over);
        };
        let taken = i64::try_from(taken)?;
        if self.publications().await? != last
            && !self.references_unchanged(attempt.push_id, seen, taken).await?
        {
            return Ok(Owned::Changed);
        }
        let signed_by = signer.chosen_names(&keys);
        let publication = self.next_publication().await?;
        let mut taken = Vec::with_capacity(slice.len());
        for chunk in slice.chunks(ROWS) {
            let text = format!(
                "UPDATE paths SET state = $1, nar_hash = c.nar_hash, nar_size = c.nar_size, refs = c.refs, \
                 deriver = c.deriver, sigs = c.sigs, ca = c.ca, object_id = c.object_id, \
                 listing = CASE WHEN EXISTS (SELECT 1 FROM verifications v WHERE v.object_id = c.object_id AND v.flaw = '') \
                 THEN $5 ELSE c.listing END, \
                 listing_size = COALESCE((SELECT v.listing_size FROM verifications v \
                 WHERE v.object_id = c.object_id AND v.flaw = ''), c.listing_size), signing_keys = $2, publication = $3, signed_by = $6 \
                 FROM push_paths c, objects o WHERE c.push_id = $4 AND c.path_id IN ({}) \
                 AND c.path_id = paths.id AND c.kind = {CLAIM_NEEDED} AND paths.state = {ABSENT} \
                 AND o.id = c.object_id AND o.state = {OBJECT_PRESENT} RETURNING paths.id",
                in_clause::placeholders(7, chunk.len())
            );
            let query = in_clause::query_scalar::<PathId>(self.backend, text, chunk.len() == ROWS)
                .bind(PUBLISHING)
                .bind(keys.to_text())
                .bind(publication)
                .bind(attempt.push_id)
                .bind(path_columns::LISTING_OF_NAR)
                .bind(signed_by.clone())
                .bind_all(chunk.iter().map(|claim| claim.path_id));
            taken.extend(query.fetch_all(&mut *self.tx).await?);
        }
        self.note_for_collection(&taken).await?;
        sqlx::query("UPDATE pushes SET paths_added = paths_added + $1 WHERE id = $2")
            .bind(i64::try_from(taken.len())?)
            .bind(attempt.push_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(Owned::Paths { taken, publication })
    }

    /// The keys that sign what a push brings, as long as the attempt may commit it.
    pub(super) async fn signing_keys_of(&mut self, attempt: &CommitAttempt) -> Result<Option<KeyChoice>> {
        let keys: Option<Keys> = in_clause::query_scalar(self.backend, format!("SELECT signing_keys FROM pushes WHERE id = $1 AND state = {PUSH_COMMITTING} AND commit_owner = $2 AND lease_until > $3"), true)
        .bind(attempt.push_id)
        .bind(attempt.owner.clone())
        .bind(now())
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(keys.map(KeyChoice::from))
    }

    /// Tells a garbage collection in progress, which has looked at these paths when they were absent.
    pub(super) async fn note_for_collection(&mut self, path_ids: &[PathId]) -> Result<()> {
        let collecting = sqlx::query("SELECT 1 FROM counters WHERE name = 'gc' AND value <> 0")
            .fetch_optional(&mut *self.tx)
            .await?;
        if collecting.is_none() {
            return Ok(());
        }
        for chunk in path_ids.chunks(ROWS) {
            let text = format!(
                "INSERT INTO gc_dirty (path_id) VALUES {}",
                in_clause::values(chunk.len(), 1)
            );
            let query =
                in_clause::query(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Records that a push refers to some paths without bringing them; false when the attempt may
    /// no longer commit it.
    pub async fn mark_left_out(&mut self, attempt: &CommitAttempt, path_ids: &[PathId]) -> Result<bool> {
        if !self.may_commit(attempt).await? {
            return Ok(false);
        }
        self.on_ids(path_ids, |ids| {
            format!("UPDATE paths SET left_out = 1 WHERE left_out = 0 AND id IN ({ids})")
        })
        .await?;
        for chunk in path_ids.chunks(ROWS) {
            let text = format!(
                "UPDATE paths SET left_to = (SELECT c.left_to FROM push_paths c WHERE c.push_id = $1 AND c.path_id = paths.id) \
                 WHERE EXISTS (SELECT 1 FROM push_paths c WHERE c.push_id = $2 AND c.path_id = paths.id \
                 AND c.left_to NOT IN ('', paths.left_to)) AND id IN ({})",
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(attempt.push_id)
                .bind(attempt.push_id)
                .bind_all(chunk.iter().copied());
            query.execute(&mut *self.tx).await?;
        }
        Ok(true)
    }

    /// Lets the keys of a push sign those of some paths, too, that it found in the cache and says the same
    /// of; false when the attempt may no longer commit it. What a signature is about is all in the
    /// comparison, so nobody's contents get a key that their pusher lacks.
    pub async fn add_signing_keys(
        &mut self,
        attempt: &CommitAttempt,
        path_ids: &[PathId],
        signer: &Signer,
    ) -> Result<bool> {
        let Some(keys) = self.signing_keys_of(attempt).await? else {
            return Ok(false);
        };
        let same = format!(
            "c.kind <> {CLAIM_EXTERNAL} AND c.nar_hash = paths.nar_hash AND c.nar_size = paths.nar_size AND c.refs = paths.refs"
        );
        // Nothing is signed that has not been read, unless the push is exempt.
        let read = format!("(q.exempt <> 0 OR {})", is_read("paths.object_id", "paths"));
        let own_names = signer.chosen_names(&keys);
        let mut publication = None;
        for chunk in path_ids.chunks(ROWS) {
            let text = format!(
                "SELECT paths.id, paths.signing_keys, paths.signed_by FROM push_paths c JOIN paths ON paths.id = c.path_id \
                 JOIN pushes q ON q.id = c.push_id WHERE c.push_id = $1 AND c.path_id IN ({}) AND paths.state IN ({PUBLISHING}, {PRESENT}) \
                 AND (paths.signing_keys <> '' OR paths.signed_by <> $2) AND {same} AND {read}",
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                .bind(attempt.push_id)
                .bind(own_names.clone())
                .bind_all(chunk.iter().copied());
            let mut signed_by_both: std::collections::BTreeMap<(String, String), Vec<PathId>> =
                std::collections::BTreeMap::new();
            let rows: Vec<(PathId, Keys, String)> = query.fetch_all(&mut *self.tx).await?;
            for (id, before, names_before) in rows {
                let before = KeyChoice::from(before);
                let both = before.union(&keys);
                let names = union_of_names(&names_before, &own_names);
                if both != before || names != union_of_names(&names_before, "") {
                    signed_by_both
                        .entry((both.to_text(), names))
                        .or_default()
                        .push(id);
                }
            }
            for ((both, names), ids) in signed_by_both {
                let number = match publication {
                    Some(number) => number,
                    None => *publication.insert(self.next_publication().await?),
                };
                let text = format!(
                    "UPDATE paths SET state = {PUBLISHING}, signing_keys = $1, signed_by = $2, publication = $3 WHERE id IN ({})",
                    in_clause::placeholders(4, ids.len())
                );
                let query = in_clause::query(self.backend, text, ids.len() == ROWS)
                    .bind(both)
                    .bind(names)
                    .bind(number)
                    .bind_all(ids);
                query.execute(&mut *self.tx).await?;
            }
        }
        Ok(true)
    }
}

impl Catalog {
    /// The paths that a push relies on and that are not committed, at most 5,000 of them.
    pub async fn unclaimed(&self, push_id: PushId) -> Result<Vec<StorePath>> {
        let text = format!(
            "SELECT p.name FROM push_paths c JOIN paths p ON p.id = c.path_id \
             WHERE c.push_id = $1 AND c.kind <> {CLAIM_EXTERNAL} AND p.state IN ({ABSENT}, {DELETING}) LIMIT 5000"
        );
        let names: Vec<PathName> = in_clause::query_scalar(self.backend, text, true)
            .bind(push_id)
            .fetch_all(&self.reader)
            .await?;
        Ok(names.into_iter().map(StorePath::from).collect())
    }

    /// How many paths the commit of a push has decided, over all attempts.
    pub async fn paths_added(&self, push_id: PushId) -> Result<u64> {
        let added: i64 = sqlx::query_scalar("SELECT paths_added FROM pushes WHERE id = $1")
            .bind(push_id)
            .fetch_optional(&self.reader)
            .await?
            .ok_or(CatalogError::PushGone)?;
        Ok(added.unsigned_abs())
    }
}
