//! The end of a commit, and how it knows that what it published is what there is to publish.
//!
//! Each move of a path after which its narinfo has to be written again, or may not be any more,
//! has a number, and the path keeps that of its last one. A commit remembers which number each
//! narinfo that it has written is of, and the last number before it read anything: what has a later
//! one, and is not of its own doing, it has not seen.

use std::collections::{BTreeMap, HashMap, HashSet};

use niks3_base::signing::{KeyChoice, Signer, union_of_names};
use niks3_nix::store_path::StorePath;
use sqlx::AnyConnection;

use super::commits::CommitAttempt;
use super::in_clause::{self, BindAll as _, ROWS};
use super::objects::is_read;
use super::path_columns::{ABSENT, DELETING, LISTING_REPLACED, PRESENT, PUBLISHING, store_path};
use super::slices::{SLICE_MARKS, SLICE_ROWS};
use super::states::{CLAIM_EXTERNAL, PUSH_COMMITTED, PUSH_COMMITTING};
use super::{Backend, Catalog, NameTaken, PathId, PushId, PushState, Realised, Result, WriteTx, now};

/// What a commit relies on when it asks to be finished.
#[derive(Debug)]
pub struct Finishing<'a> {
    /// The attempt that asks.
    pub attempt: &'a CommitAttempt,
    /// The pin to make of its root.
    pub pin: Option<&'a str>,
    /// What its commit answers.
    pub result: &'a str,
    /// The last publication before it read what it has published.
    pub seen: i64,
    /// Numbers after that, of the moves that are its own.
    pub own: &'a [i64],
    /// Ids of the paths whose narinfos it has written, and the publications that these are of.
    pub published: &'a HashMap<PathId, i64>,
    /// Those of them that the push does not claim.
    pub strangers: &'a [PathId],
    /// The realisations that it has written.
    pub realisations: &'a [Realised],
    /// The keys that have signed what it has written.
    pub signer: &'a Signer,
}

/// What [`Catalog::finish_commit`] did.
#[derive(Debug)]
pub enum Finish {
    /// The push is committed.
    Committed,
    /// Somebody has paths published again that this commit may have overwritten, or that it
    /// relies on: it publishes them, too, and finishes then. Of these ids it has written what they were before, perhaps
    /// after those others: they have to be written once more, even if they are present by then.
    Overtaken(Vec<PathId>),
    /// These paths have lost their NARs: the push is given up.
    Lost(Vec<StorePath>),
    /// Another pin has come since the push was opened, whose name differs in upper and lower case alone.
    PinTaken(NameTaken),
    /// A lease has run out, or the push was given up.
    Over,
}

/// What others have done, while a commit published, to paths that it relies on or has written.
#[derive(Debug, Default)]
struct Moves {
    /// These have lost their NARs.
    lost: Vec<StorePath>,
    /// Ids of those that were published by others after this commit had read them, and whose narinfos
    /// it may have overwritten.
    overwritten: Vec<PathId>,
    /// Ids of those that have to be published again.
    unpublished: Vec<PathId>,
}

impl Moves {
    /// Ids of those that others are about to publish, and of which the commit has written what they were before: it cannot tell
    /// which of both is written last.
    fn stale(&self, commit: &Finishing<'_>) -> Vec<PathId> {
        let unpublished = self.unpublished.iter();
        unpublished
            .filter(|id| commit.published.contains_key(id))
            .copied()
            .collect()
    }

    /// Nothing stands in the way of the commit.
    fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.overwritten.is_empty() && self.unpublished.is_empty()
    }
}

impl Catalog {
    /// Ids of paths whose narinfo may not be in the bucket yet, in their order, after one.
    pub async fn publishing_ids(&self, after: PathId, limit: i64) -> Result<Vec<PathId>> {
        let text =
            format!("SELECT id FROM paths WHERE id > $1 AND state = {PUBLISHING} ORDER BY id LIMIT $2");
        let rows = in_clause::query_scalar(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// The number of the last publication.
    pub async fn publications(&self) -> Result<i64> {
        Ok(sqlx::query_scalar(PUBLICATIONS).fetch_one(&self.reader).await?)
    }

    /// Makes a push count whose narinfos are in the bucket, and on its disk: its claimed paths become
    /// present in slices, then one small transaction makes closure, pin and run.
    pub async fn finish_commit(&self, commit: &Finishing<'_>) -> Result<Finish> {
        let checked = self.publications().await?;
        let changes = self.moves_since(commit, checked).await?;
        self.publish_again(&changes.overwritten).await?;
        if !changes.lost.is_empty() {
            // Also those that others are about to publish: this commit writes nothing more.
            self.publish_again(&changes.stale(commit)).await?;
            let mut tx = self.write().await?;
            tx.give_up(commit.attempt.push_id).await?;
            tx.commit().await?;
            return Ok(Finish::Lost(changes.lost));
        }
        let strangers: HashSet<PathId> = commit.strangers.iter().copied().collect();
        let mut published: Vec<(PathId, i64)> = commit
            .published
            .iter()
            .filter(|(id, _)| !strangers.contains(id))
            .map(|(id, publication)| (*id, *publication))
            .collect();
        // Rows that lie beside each other change together.
        published.sort_unstable();
        let own: HashSet<i64> = commit.own.iter().copied().collect();
        for slice in published.chunks(SLICE_MARKS) {
            // Of its own decisions the keys are known.
            let of_others = slice.iter().filter(|(_, publication)| !own.contains(publication));
            let of_others: Vec<(PathId, i64)> = of_others.copied().collect();
            let mut tx = self.write().await?;
            tx.record_signing_keys(&of_others, commit.signer).await?;
            tx.mark_published(slice).await?;
            tx.commit().await?;
        }
        if !changes.is_empty() {
            return Ok(Finish::Overtaken(changes.stale(commit)));
        }
        let mut tx = self.write().await?;
        let finish = tx.finish(commit, checked).await?;
        if matches!(finish, Finish::Committed) {
            tx.commit().await?;
        }
        Ok(finish)
    }

    /// What others have moved since a commit read what it has published; `last` is the number of the last
    /// publication.
    async fn moves_since(&self, commit: &Finishing<'_>, last: i64) -> Result<Moves> {
        if last - commit.seen == i64::try_from(commit.own.len())? {
            // All of them were its own.
            return Ok(Moves::default());
        }
        let mut reader = self.reader.acquire().await?;
        changes(self.backend, &mut reader, commit).await
    }

    /// Has the narinfos of committed paths written again, in slices.
    pub async fn publish_again(&self, ids: &[PathId]) -> Result<()> {
        for slice in ids.chunks(SLICE_ROWS) {
            let mut tx = self.write().await?;
            tx.publish_again(slice).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

const PUBLICATIONS: &str = "SELECT value FROM counters WHERE name = 'publications'";

/// What was moved since a commit read what it has published, of what it claims or has written.
async fn changes(backend: Backend, connection: &mut AnyConnection, commit: &Finishing<'_>) -> Result<Moves> {
    let own = commit
        .own
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let not_own = if own.is_empty() {
        String::new()
    } else {
        format!("AND p.publication NOT IN ({own})")
    };
    let text = format!(
        "SELECT p.id, p.name, p.state, p.publication FROM push_paths c JOIN paths p ON p.id = c.path_id \
         WHERE c.push_id = $1 AND c.kind <> {CLAIM_EXTERNAL} AND p.publication > $2 {not_own}"
    );
    let mut rows: Vec<(PathId, String, i64, i64)> = in_clause::query_as(backend, text, own.is_empty())
        .bind(commit.attempt.push_id)
        .bind(commit.seen)
        .fetch_all(&mut *connection)
        .await?;
    for chunk in commit.strangers.chunks(ROWS) {
        let text = format!(
            "SELECT id, name, state, publication FROM paths WHERE publication > $1 \
             AND state IN ({PUBLISHING}, {PRESENT}) AND id IN ({})",
            in_clause::placeholders(2, chunk.len())
        );
        let query = in_clause::query_as(backend, text, chunk.len() == ROWS)
            .bind(commit.seen)
            .bind_all(chunk.iter().copied());
        rows.extend(query.fetch_all(&mut *connection).await?);
    }
    let mut changes = Moves::default();
    for (id, name, state, publication) in rows {
        let written = commit.published.get(&id);
        match state {
            ABSENT | DELETING => changes.lost.push(store_path(&name)?),
            _ if written == Some(&publication) => {}
            PUBLISHING => changes.unpublished.push(id),
            // Others have published it, before this commit has written what it knew of the path.
            _ if written.is_some() => changes.overwritten.push(id),
            _ => {}
        }
    }
    Ok(changes)
}

impl WriteTx {
    /// The number of the last publication.
    pub async fn publications(&mut self) -> Result<i64> {
        Ok(sqlx::query_scalar(PUBLICATIONS).fetch_one(&mut *self.tx).await?)
    }

    /// The number of another one.
    pub(super) async fn next_publication(&mut self) -> Result<i64> {
        Ok(sqlx::query_scalar(
            "UPDATE counters SET value = value + 1 WHERE name = 'publications' RETURNING value",
        )
        .fetch_one(&mut *self.tx)
        .await?)
    }

    /// Those of some staging keys that the listing of a committed path has still to be moved from.
    pub async fn staged_listings(&mut self, keys: &[String]) -> Result<HashSet<String>> {
        let hash = |key: &String| {
            let name = key.rsplit('/').next().unwrap_or_default();
            name.split('.').next().unwrap_or_default().to_owned()
        };
        let mut staged = HashSet::new();
        for chunk in keys.chunks(ROWS) {
            let text = format!(
                "SELECT listing FROM paths WHERE listing <> '' AND hash IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().map(hash));
            staged.extend(query.fetch_all(&mut *self.tx).await?);
        }
        Ok(staged)
    }

    /// Records which keys have signed narinfos that were written again, as far as the server has read their NARs: a key may
    /// have been added to the configuration since the path was decided.
    async fn record_signing_keys(&mut self, written: &[(PathId, i64)], signer: &Signer) -> Result<()> {
        let all = signer.chosen_names(&KeyChoice::All);
        let mut signed: BTreeMap<String, Vec<PathId>> = BTreeMap::new();
        for chunk in written.chunks(ROWS) {
            let text = format!(
                "SELECT paths.id, paths.signing_keys, paths.signed_by FROM paths JOIN (VALUES {}) AS written \
                 ON paths.id = written.column1 AND paths.publication = written.column2 \
                 WHERE paths.state = {PUBLISHING} AND paths.signed_by <> ${} AND {}",
                in_clause::values(chunk.len(), 2),
                2 * chunk.len() + 1,
                is_read("paths.object_id", "paths")
            );
            let mut query = in_clause::query_as(self.backend, text, chunk.len() == ROWS);
            for (id, publication) in chunk {
                query = query.bind(*id).bind(*publication);
            }
            let rows: Vec<(PathId, String, String)> =
                query.bind(all.clone()).fetch_all(&mut *self.tx).await?;
            for (id, keys, before) in rows {
                let keys = KeyChoice::from_text(&keys);
                let names = union_of_names(&before, &signer.chosen_names(&keys));
                if names != union_of_names(&before, "") {
                    signed.entry(names).or_default().push(id);
                }
            }
        }
        for (names, ids) in signed {
            for chunk in ids.chunks(ROWS) {
                let text = format!(
                    "UPDATE paths SET signed_by = $1 WHERE id IN ({})",
                    in_clause::placeholders(2, chunk.len())
                );
                let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                    .bind(names.clone())
                    .bind_all(chunk.iter().copied());
                query.execute(&mut *self.tx).await?;
            }
        }
        Ok(())
    }

    /// Makes paths present whose narinfos are in the bucket: those that have not been moved since the
    /// publication, by number, that was written.
    async fn mark_published(&mut self, published: &[(PathId, i64)]) -> Result<()> {
        for chunk in published.chunks(ROWS) {
            let text = format!(
                "UPDATE paths SET state = {PRESENT}, listing = '' FROM (VALUES {}) AS written \
                 WHERE paths.id = written.column1 AND paths.publication = written.column2 \
                 AND paths.state = {PUBLISHING}",
                in_clause::values(chunk.len(), 2)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for (id, publication) in chunk {
                query = query.bind(*id).bind(*publication);
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// The only step by which a push counts: its roots become closures, its pin is set, its state says
    /// that it is committed. All that it relies on is published and marked so by then, and `checked` is
    /// the number of the last publication at which that was looked at.
    async fn finish(&mut self, commit: &Finishing<'_>, checked: i64) -> Result<Finish> {
        let push_id = commit.attempt.push_id;
        if !self.may_commit(commit.attempt).await? {
            let state: Option<PushState> = sqlx::query_scalar("SELECT state FROM pushes WHERE id = $1")
                .bind(push_id)
                .fetch_optional(&mut *self.tx)
                .await?;
            return Ok(if state == Some(PushState::Committed) {
                Finish::Committed
            } else {
                Finish::Over
            });
        }
        if self.publications().await? != checked {
            let since = Finishing {
                seen: checked,
                own: &[],
                ..*commit
            };
            let changes = changes(self.backend, &mut self.tx, &since).await?;
            if !changes.is_empty() {
                let mut stale = changes.stale(commit);
                stale.extend(changes.overwritten);
                return Ok(Finish::Overtaken(stale));
            }
        }
        if !self.realisations_unchanged(commit.realisations).await? {
            return Ok(Finish::Overtaken(Vec::new()));
        }
        if let Some(name) = commit.pin
            && let Some(taken) = self.pin_name_taken(name).await?
        {
            return Ok(Finish::PinTaken(taken));
        }
        in_clause::query(
            self.backend,
            format!(
                "UPDATE pushes SET state = {PUSH_COMMITTED}, result = $1, commit_until = 0 WHERE id = $2"
            ),
            true,
        )
        .bind(commit.result.to_owned())
        .bind(push_id)
        .execute(&mut *self.tx)
        .await?;
        self.add_closures(push_id).await?;
        if let Some(name) = commit.pin {
            self.add_pin(push_id, name).await?;
        }
        Ok(Finish::Committed)
    }

    /// Ends the lease of a push that is being committed and cannot be: what it has decided stays
    /// to be published by the next one. Its claims are let go when nothing it wrote can still be on its way.
    pub async fn give_up(&mut self, push_id: PushId) -> Result<()> {
        in_clause::query(
            self.backend,
            format!("UPDATE pushes SET lease_until = $1 WHERE id = $2 AND state = {PUSH_COMMITTING}"),
            true,
        )
        .bind(now())
        .bind(push_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Has the narinfos of committed paths written again, whoever may just have written them; and the listings of those whose
    /// contents were replaced.
    pub(super) async fn publish_again(&mut self, ids: &[PathId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let publication = self.next_publication().await?;
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE paths SET state = {PUBLISHING}, publication = $1, listing = CASE WHEN listing = '' AND EXISTS \
                 (SELECT 1 FROM replacements r WHERE r.path_id = paths.id) THEN '{LISTING_REPLACED}' ELSE listing END \
                 WHERE state IN ({PUBLISHING}, {PRESENT}) AND id IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(publication)
                .bind_all(chunk.iter().copied());
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}
