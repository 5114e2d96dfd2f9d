//! Released closures: nothing keeps them, and they stay for the undo time. Each move is one guarded statement inside a
//! writing transaction: it does nothing where its condition no longer holds. A push or a use of a closure ends its release.

use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::{PRESENT, PUBLISHING};
use super::states::{PUSH_COMMITTING, PUSH_OPEN};
use super::{Catalog, ClosureId, PathId, Result, WriteTx, now};

/// Nothing that outlasts a release names the root of the closure.
const UNNAMED: &str = "NOT EXISTS (SELECT 1 FROM pins n WHERE n.path_id = closures.path_id) \
     AND NOT EXISTS (SELECT 1 FROM pin_targets n WHERE n.path_id = closures.path_id)";

/// A release by a garbage collection.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    /// Unix time.
    pub at: i64,
    /// Token of the garbage collection.
    pub by: &'a str,
    /// Unix time; what was pushed or used after it stays.
    pub unused_since: i64,
}

/// Whether a closure can be released by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Releasing {
    /// It is, with this id and that of its root.
    Released(ClosureId, PathId),
    /// No closure has this root.
    NoClosure,
    /// These pins name it; some of them if they are many.
    Pinned(Vec<String>),
    /// This push in progress needs it: its token and who pushes.
    InPush(String, String),
}

/// Names of pins that an answer has.
const MAX_PINS: i64 = 20;

impl Catalog {
    /// How many closures are released.
    pub async fn released_closures(&self) -> Result<i64> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM closures WHERE released_at <> 0")
                .fetch_one(&self.reader)
                .await?,
        )
    }

    /// Base names of some paths, with the id of each.
    pub async fn names_of_paths(&self, ids: &[PathId]) -> Result<Vec<(PathId, String)>> {
        let mut found = Vec::new();
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "SELECT id, name FROM paths WHERE id IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query =
                in_clause::query_as(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            found.extend(query.fetch_all(&self.reader).await?);
        }
        Ok(found)
    }

    /// Base names of roots of some paths that closures have, with the id of each path.
    pub async fn closures_of_paths(&self, ids: &[PathId]) -> Result<Vec<(PathId, String)>> {
        let mut found = Vec::new();
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "SELECT c.path_id, p.name FROM closures c JOIN paths p ON p.id = c.path_id WHERE c.path_id IN ({}) ORDER BY p.name",
                in_clause::placeholders(1, chunk.len())
            );
            let query =
                in_clause::query_as(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            found.extend(query.fetch_all(&self.reader).await?);
        }
        Ok(found)
    }
}

impl WriteTx {
    /// Releases closures that were neither pushed nor used for long and that no pin names; returns which.
    pub async fn release_closures(
        &mut self,
        ids: &[ClosureId],
        release: Release<'_>,
    ) -> Result<Vec<ClosureId>> {
        let mut released = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE closures SET released_at = $1, released_by = $2 WHERE released_at = 0 \
                 AND pushed_at <= $3 AND used_at <= $3 AND direct_at <= $3 AND id IN ({}) AND {UNNAMED} RETURNING id",
                in_clause::placeholders(4, chunk.len())
            );
            let query = in_clause::query_scalar::<ClosureId>(self.backend, text, chunk.len() == ROWS)
                .bind(release.at)
                .bind(release.by.to_owned())
                .bind(release.unused_since)
                .bind_all(chunk.iter().copied());
            released.extend(query.fetch_all(&mut *self.tx).await?);
        }
        if !released.is_empty() {
            self.roots_changed().await?;
        }
        Ok(released)
    }

    /// Deletes closures that were released by a time, and of those that a garbage collection has released, what was
    /// neither pushed nor used since another; none that a pin names. Returns which.
    pub async fn purge_closures(
        &mut self,
        ids: &[ClosureId],
        released_before: i64,
        unused_since: i64,
    ) -> Result<Vec<ClosureId>> {
        let mut purged = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "DELETE FROM closures WHERE released_at <> 0 AND released_at <= $1 \
                 AND (released_by = '' OR (pushed_at <= $2 AND used_at <= $2)) AND id IN ({}) AND {UNNAMED} RETURNING id",
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query_scalar::<ClosureId>(self.backend, text, chunk.len() == ROWS)
                .bind(released_before)
                .bind(unused_since)
                .bind_all(chunk.iter().copied());
            purged.extend(query.fetch_all(&mut *self.tx).await?);
        }
        if !purged.is_empty() {
            self.roots_changed().await?;
        }
        Ok(purged)
    }

    /// Ends the release of closures that something keeps again; how many.
    pub async fn keep_closures(&mut self, ids: &[ClosureId]) -> Result<u64> {
        let mut kept = 0;
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE closures SET released_at = 0, released_by = '' WHERE released_at <> 0 AND id IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query =
                in_clause::query(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            kept += query.execute(&mut *self.tx).await?.rows_affected();
        }
        if kept > 0 {
            self.roots_changed().await?;
        }
        Ok(kept)
    }

    /// Releases a closure, named by its root, because somebody says so. A pin or a push in progress that needs it is in the
    /// way.
    pub async fn release_by_hand(&mut self, root: &niks3_nix::store_path::StorePath) -> Result<Releasing> {
        let found: Option<(ClosureId, PathId)> = in_clause::query_as(
            self.backend,
            "SELECT c.id, c.path_id FROM closures c JOIN paths p ON p.id = c.path_id WHERE p.hash = $1 AND p.name = $2"
                .to_owned(),
            true,
        )
        .bind(root.hash_part().to_owned())
        .bind(root.to_string())
        .fetch_optional(&mut *self.tx)
        .await?;
        let Some((id, path_id)) = found else {
            return Ok(Releasing::NoClosure);
        };
        let pins: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM pins WHERE path_id = $1 UNION SELECT name FROM pin_targets WHERE path_id = $1 \
             ORDER BY name LIMIT $2",
        )
        .bind(path_id)
        .bind(MAX_PINS)
        .fetch_all(&mut *self.tx)
        .await?;
        if !pins.is_empty() {
            return Ok(Releasing::Pinned(pins));
        }
        let text = format!(
            "SELECT q.token, q.identity FROM pushes q WHERE q.state IN ({PUSH_OPEN}, {PUSH_COMMITTING}) AND q.lease_until > $1 \
             AND (EXISTS (SELECT 1 FROM push_roots o WHERE o.push_id = q.id AND o.path_id = $2) \
             OR EXISTS (SELECT 1 FROM push_paths c WHERE c.push_id = q.id AND c.path_id = $2)) ORDER BY q.id LIMIT 1"
        );
        let push: Option<(String, String)> = in_clause::query_as(self.backend, text, true)
            .bind(now())
            .bind(path_id)
            .fetch_optional(&mut *self.tx)
            .await?;
        if let Some((token, identity)) = push {
            return Ok(Releasing::InPush(token, identity));
        }
        // After every push and use that there is, so that none of them counts as one that comes after.
        sqlx::query(
            "UPDATE closures SET released_by = '', released_at = CASE WHEN pushed_at >= $1 AND pushed_at >= used_at THEN pushed_at + 1 \
             WHEN used_at >= $1 THEN used_at + 1 ELSE $1 END WHERE id = $2",
        )
        .bind(now())
        .bind(id)
        .execute(&mut *self.tx)
        .await?;
        self.roots_changed().await?;
        Ok(Releasing::Released(id, path_id))
    }

    /// Deletes closures that were released by hand, without the undo time. Returns which.
    pub async fn purge_released(&mut self, ids: &[ClosureId]) -> Result<Vec<ClosureId>> {
        self.purge_closures(ids, i64::MAX, -1).await
    }

    /// Ends the release of the closure with this root, as a push without a run would; false if there is no such closure.
    pub async fn restore_closure(&mut self, root: &niks3_nix::store_path::StorePath) -> Result<bool> {
        let text = format!(
            "UPDATE closures SET released_at = 0, released_by = '', adopted = 0, pushed_at = $1, direct_at = $1 \
             WHERE path_id IN (SELECT id FROM paths WHERE hash = $2 AND name = $3 AND state IN ({PUBLISHING}, {PRESENT}))"
        );
        let done = in_clause::query(self.backend, text, true)
            .bind(now())
            .bind(root.hash_part().to_owned())
            .bind(root.to_string())
            .execute(&mut *self.tx)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.roots_changed().await?;
        Ok(true)
    }

    /// Ends the release of up to `limit` closures that a garbage collection has released, as pushes without a run would;
    /// returns ids of their roots.
    pub async fn restore_released_by(&mut self, gc: &str, limit: i64) -> Result<Vec<PathId>> {
        let roots: Vec<PathId> = sqlx::query_scalar(
            "UPDATE closures SET released_at = 0, released_by = '', adopted = 0, pushed_at = $1, direct_at = $1 \
             WHERE id IN (SELECT id FROM closures WHERE released_at <> 0 AND released_by = $2 ORDER BY id LIMIT $3) \
             RETURNING path_id",
        )
        .bind(now())
        .bind(gc.to_owned())
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        if !roots.is_empty() {
            self.roots_changed().await?;
        }
        Ok(roots)
    }
}
