//! The end of a commit, and how it knows that what it published is what there is to publish.
//!
//! Each move of a path after which its narinfo has to be written again, or may not be any more,
//! has a number, and the path keeps that of its last one. A commit remembers the last number
//! before it read what it has to publish: what has a later one it has not seen.

use std::collections::HashSet;

use niks3_nix::store_path::StorePath;
use sqlx::Row as _;

use super::bulk::{self, ROWS};
use super::paths::{ABSENT, DELETING, PRESENT, PUBLISHING, store_path};
use super::{Catalog, Realised, Result, WriteTx, now};

/// What a commit has done when it asks to be finished.
#[derive(Debug)]
pub struct Finishing<'a> {
    /// Id of the push.
    pub push_id: i64,
    /// The pin to make of its root.
    pub pin: Option<&'a str>,
    /// What its commit answers.
    pub result: &'a str,
    /// The last publication before it read what it has published.
    pub seen: i64,
    /// Ids of the paths whose narinfos it has written.
    pub published: &'a HashSet<i64>,
    /// Those of them that the push does not claim.
    pub strangers: &'a [i64],
    /// The realisations that it has written.
    pub realisations: &'a [Realised],
}

/// What [`WriteTx::finish`] found.
#[derive(Debug)]
pub enum Finish {
    /// The push is committed.
    Committed,
    /// Somebody has paths published again that this commit may have overwritten, or that it
    /// relies on: it publishes them, too, and finishes then.
    Overtaken,
    /// These paths have lost their NARs: the push is given up.
    Lost(Vec<StorePath>),
    /// Its lease has run out, or it was given up.
    Over,
}

/// A path that was moved while a commit published.
struct Moved {
    id: i64,
    name: String,
    state: i64,
}

/// Ids of those that are in some states, and whose narinfos the commit has written.
fn overwritten(moved: &[Moved], published: &HashSet<i64>, states: &[i64]) -> Vec<i64> {
    moved
        .iter()
        .filter(|path| states.contains(&path.state) && published.contains(&path.id))
        .map(|path| path.id)
        .collect()
}

impl Catalog {
    /// Ids of paths whose narinfo may not be in the bucket yet, in their order, after one.
    pub async fn publishing_ids(&self, after: i64, limit: i64) -> Result<Vec<i64>> {
        let text =
            format!("SELECT id FROM paths WHERE id > $1 AND state = {PUBLISHING} ORDER BY id LIMIT $2");
        let rows = bulk::query(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

impl WriteTx {
    /// The number of the last publication.
    pub async fn publications(&mut self) -> Result<i64> {
        let row = sqlx::query("SELECT value FROM counters WHERE name = 'publications'")
            .fetch_one(&mut *self.tx)
            .await?;
        Ok(row.try_get(0)?)
    }

    /// The number of another one.
    pub(super) async fn next_publication(&mut self) -> Result<i64> {
        let row =
            sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'publications' RETURNING value")
                .fetch_one(&mut *self.tx)
                .await?;
        Ok(row.try_get(0)?)
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
                bulk::placeholders(1, chunk.len())
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS);
            for key in chunk {
                query = query.bind(hash(key));
            }
            for row in query.fetch_all(&mut *self.tx).await? {
                staged.insert(row.try_get(0)?);
            }
        }
        Ok(staged)
    }

    /// Ends a push whose paths are all in the bucket: they count as present, its
    /// roots become closures, its pin is set, its claims are let go, in one step.
    pub async fn finish(&mut self, commit: &Finishing<'_>) -> Result<Finish> {
        let push_id = commit.push_id;
        let row = sqlx::query("SELECT state FROM pushes WHERE id = $1")
            .bind(push_id)
            .fetch_optional(&mut *self.tx)
            .await?;
        match row.map(|row| row.try_get::<i64, _>(0)).transpose()? {
            Some(1) => {}
            Some(2) => return Ok(Finish::Committed),
            _ => return Ok(Finish::Over),
        }
        let moved = self.moved_since(commit).await?;
        let lost = moved
            .iter()
            .filter(|path| matches!(path.state, ABSENT | DELETING));
        let lost: Vec<StorePath> = lost.map(|path| store_path(&path.name)).collect::<Result<_>>()?;
        if !lost.is_empty() {
            // Also those that others are about to publish: this commit writes nothing more.
            let overwritten = overwritten(&moved, commit.published, &[PUBLISHING, PRESENT]);
            self.publish_again(&overwritten).await?;
            self.give_up(push_id).await?;
            return Ok(Finish::Lost(lost));
        }
        sqlx::query(
            "UPDATE paths SET state = $1, listing = '' FROM push_paths c \
             WHERE c.push_id = $2 AND c.path_id = paths.id AND c.kind <> 2 AND paths.state = $3 \
             AND paths.publication <= $4",
        )
        .bind(PRESENT)
        .bind(push_id)
        .bind(PUBLISHING)
        .bind(commit.seen)
        .execute(&mut *self.tx)
        .await?;
        let overwritten = overwritten(&moved, commit.published, &[PRESENT]);
        self.publish_again(&overwritten).await?;
        if !overwritten.is_empty()
            || moved.iter().any(|path| path.state == PUBLISHING)
            || !self.realisations_unchanged(commit.realisations).await?
        {
            return Ok(Finish::Overtaken);
        }
        sqlx::query("UPDATE pushes SET state = 2, result = $1 WHERE id = $2")
            .bind(commit.result.to_owned())
            .bind(push_id)
            .execute(&mut *self.tx)
            .await?;
        self.add_closures(push_id).await?;
        if let Some(name) = commit.pin {
            self.add_pin(push_id, name).await?;
        }
        self.release_claims(push_id).await?;
        Ok(Finish::Committed)
    }

    /// Ends the lease of a push that is being committed and cannot be: what it has decided stays
    /// to be published by the next one. Its claims are let go when nothing it wrote can still be on its way.
    pub async fn give_up(&mut self, push_id: i64) -> Result<()> {
        sqlx::query("UPDATE pushes SET lease_until = $1 WHERE id = $2 AND state = 1")
            .bind(now())
            .bind(push_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// What was moved since a commit read what it has published, of what it claims or has written.
    async fn moved_since(&mut self, commit: &Finishing<'_>) -> Result<Vec<Moved>> {
        if self.publications().await? <= commit.seen {
            return Ok(Vec::new());
        }
        let mut rows = sqlx::query(
            "SELECT p.id, p.name, p.state FROM push_paths c JOIN paths p ON p.id = c.path_id \
             WHERE c.push_id = $1 AND c.kind <> 2 AND p.publication > $2",
        )
        .bind(commit.push_id)
        .bind(commit.seen)
        .fetch_all(&mut *self.tx)
        .await?;
        for chunk in commit.strangers.chunks(ROWS) {
            let text = format!(
                "SELECT id, name, state FROM paths WHERE publication > $1 \
                 AND state IN ({PUBLISHING}, {PRESENT}) AND id IN ({})",
                bulk::placeholders(2, chunk.len())
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS).bind(commit.seen);
            for id in chunk {
                query = query.bind(*id);
            }
            rows.extend(query.fetch_all(&mut *self.tx).await?);
        }
        rows.iter()
            .map(|row| {
                Ok(Moved {
                    id: row.try_get(0)?,
                    name: row.try_get(1)?,
                    state: row.try_get(2)?,
                })
            })
            .collect()
    }

    /// Has the narinfos of committed paths written again, whoever may just have written them.
    pub(super) async fn publish_again(&mut self, ids: &[i64]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let publication = self.next_publication().await?;
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE paths SET state = {PUBLISHING}, publication = $1 \
                 WHERE state IN ({PUBLISHING}, {PRESENT}) AND id IN ({})",
                bulk::placeholders(2, chunk.len())
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS).bind(publication);
            for id in chunk {
                query = query.bind(*id);
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}
