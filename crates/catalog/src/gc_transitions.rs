//! The moves of a garbage collection, each one guarded statement inside a writing
//! transaction: it does nothing where its condition no longer holds.

use super::in_clause::{self, BindAll as _, ROWS};
use super::objects::{OBJECT_DELETING, OBJECT_PENDING};
use super::path_columns::{ABSENT, DELETING, PRESENT, PUBLISHING};
use super::states::{
    CLAIM_EXTERNAL, LOG_DELETING, LOG_PRESENT, MULTIPART_GIVEN_UP, PUSH_COMMITTING, PUSH_EXPIRED, PUSH_OPEN,
    REALISATION_DELETING, REALISATION_PRESENT,
};
use super::{Catalog, ClosureId, ObjectId, PathId, PushId, Result, WriteTx, now, short_leases};

/// What is condemned, and deleted when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collected {
    /// Store paths: narinfo, listing, realisations.
    Paths,
    /// NARs.
    Objects,
    /// Build logs.
    Logs,
}

impl Collected {
    fn table(self) -> &'static str {
        match self {
            Self::Paths => "paths",
            Self::Objects => "objects",
            Self::Logs => "logs",
        }
    }
}

/// Ids of what a garbage collection marks by id.
pub trait CollectedId:
    Copy + Send + Sync + for<'q> sqlx::Encode<'q, sqlx::Any> + sqlx::Type<sqlx::Any> + 'static
{
    /// What they are ids of.
    const COLLECTED: Collected;
}

impl CollectedId for PathId {
    const COLLECTED: Collected = Collected::Paths;
}

impl CollectedId for ObjectId {
    const COLLECTED: Collected = Collected::Objects;
}

/// A path that is being deleted.
#[derive(Debug, Clone)]
pub struct DoomedPath {
    /// Id of the path.
    pub id: PathId,
    /// Base name of the path.
    pub name: String,
    /// Keys of what points to it: realisations and debug information.
    pub pointers: Vec<String>,
}

/// A NAR or a build log that is being deleted.
#[derive(Debug, Clone)]
pub struct DoomedObject {
    /// Id of the NAR; nothing for a log.
    pub id: ObjectId,
    /// Key of the NAR, or base name of the log's derivation.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Nobody has seen it in the bucket.
    pub pending: bool,
}

impl WriteTx {
    /// Ends those of some pushes whose lease has run out: open ones by now, those being committed by
    /// `committing_before`, when nothing they wrote can still be on its way. What they claim is let
    /// go by [`Catalog::release_push`].
    pub async fn expire_pushes(&mut self, ids: &[PushId], committing_before: i64) -> Result<u64> {
        let mut expired = 0;
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE pushes SET state = {PUSH_EXPIRED} WHERE id IN ({}) \
                 AND ((state = {PUSH_OPEN} AND lease_until <= $1) OR (state = {PUSH_COMMITTING} AND lease_until <= $2))",
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(now())
                .bind(committing_before)
                .bind_all(chunk.iter().copied());
            expired += query.execute(&mut *self.tx).await?.rows_affected();
        }
        Ok(expired)
    }

    /// Forgets at most `limit` pushes that failed before a time, and as many that were committed before
    /// another, of those that name nothing any more; returns how many of each.
    pub async fn forget_pushes(
        &mut self,
        failed_before: i64,
        committed_before: i64,
        limit: i64,
    ) -> Result<(u64, u64)> {
        let mut forgotten = [0, 0];
        for (count, (states, before)) in forgotten
            .iter_mut()
            .zip([("3, 4", failed_before), ("2", committed_before)])
        {
            let text = format!(
                "DELETE FROM pushes WHERE id IN (SELECT q.id FROM pushes q WHERE q.state IN ({states}) AND q.lease_until <= $1 \
                 AND NOT EXISTS (SELECT 1 FROM push_paths c WHERE c.push_id = q.id) ORDER BY q.id LIMIT $2)"
            );
            let done = in_clause::query(self.backend, text, true)
                .bind(before)
                .bind(limit)
                .execute(&mut *self.tx)
                .await?;
            *count = done.rows_affected();
        }
        sqlx::query(
            "UPDATE logs SET push_id = 0 WHERE push_id <> 0 AND push_id NOT IN (SELECT id FROM pushes)",
        )
        .execute(&mut *self.tx)
        .await?;
        Ok(forgotten.into())
    }

    /// Deletes closures that were neither pushed nor used since, and that no pin keeps; returns which.
    pub async fn drop_closures(&mut self, ids: &[ClosureId], before: i64) -> Result<Vec<ClosureId>> {
        let mut dropped = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "DELETE FROM closures WHERE pushed_at <= $1 AND used_at <= $1 AND id IN ({}) \
                 AND NOT EXISTS (SELECT 1 FROM pins n WHERE n.path_id = closures.path_id) \
                 AND NOT EXISTS (SELECT 1 FROM pin_targets n WHERE n.path_id = closures.path_id) RETURNING id",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query_scalar::<ClosureId>(self.backend, text, chunk.len() == ROWS)
                .bind(before)
                .bind_all(chunk.iter().copied());
            dropped.extend(query.fetch_all(&mut *self.tx).await?);
        }
        if !dropped.is_empty() {
            self.roots_changed().await?;
        }
        Ok(dropped)
    }

    /// Says since when nothing needs some paths or NARs; 0 says that something does.
    pub async fn mark_unreachable<I: CollectedId>(&mut self, ids: &[I], at: i64) -> Result<()> {
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE {} SET condemned_at = $1 WHERE id IN ({})",
                I::COLLECTED.table(),
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(at)
                .bind_all(chunk.iter().copied());
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// The same for build logs.
    pub async fn condemn_logs(&mut self, drvs: &[String], at: i64) -> Result<()> {
        for chunk in drvs.chunks(ROWS) {
            let text = format!(
                "UPDATE logs SET condemned_at = $1 WHERE drv IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(at)
                .bind_all(chunk.iter().cloned());
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Begins to delete paths that no push under way, closure or pin names; also goes on
    /// with those whose deletion was begun and is no longer worked on.
    pub async fn doom_paths(&mut self, ids: &[PathId], fence: i64) -> Result<Vec<DoomedPath>> {
        let over = short_leases::over("fence", "$2");
        let mut doomed: Vec<DoomedPath> = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE paths SET state = {DELETING}, fence = $1 WHERE id IN ({}) \
                 AND (state IN ({PUBLISHING}, {PRESENT}) OR (state = {DELETING} AND {over})) \
                 AND NOT EXISTS (SELECT 1 FROM push_paths c JOIN pushes q ON q.id = c.push_id \
                 WHERE c.path_id = paths.id AND c.kind <> {CLAIM_EXTERNAL} AND q.state IN ({PUSH_OPEN}, {PUSH_COMMITTING}) AND paths.state <> {DELETING}) \
                 AND NOT EXISTS (SELECT 1 FROM closures c WHERE c.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM pins n WHERE n.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM pin_targets n WHERE n.path_id = paths.id) \
                 RETURNING id, name",
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                .bind(fence)
                .bind(now())
                .bind_all(chunk.iter().copied());
            let rows: Vec<(PathId, String)> = query.fetch_all(&mut *self.tx).await?;
            doomed.extend(rows.into_iter().map(|(id, name)| DoomedPath {
                id,
                name,
                pointers: Vec::new(),
            }));
        }
        self.doom_pointers(&mut doomed).await?;
        Ok(doomed)
    }

    /// Takes over the deletion of paths that nobody works on any more.
    pub async fn take_over_paths(&mut self, ids: &[PathId], fence: i64) -> Result<Vec<DoomedPath>> {
        let over = short_leases::over("fence", "$2");
        let mut doomed: Vec<DoomedPath> = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE paths SET fence = $1 WHERE id IN ({}) AND state = {DELETING} AND {over} RETURNING id, name",
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                .bind(fence)
                .bind(now())
                .bind_all(chunk.iter().copied());
            let rows: Vec<(PathId, String)> = query.fetch_all(&mut *self.tx).await?;
            doomed.extend(rows.into_iter().map(|(id, name)| DoomedPath {
                id,
                name,
                pointers: Vec::new(),
            }));
        }
        self.doom_pointers(&mut doomed).await?;
        Ok(doomed)
    }

    async fn doom_pointers(&mut self, doomed: &mut [DoomedPath]) -> Result<()> {
        let mut keys: std::collections::HashMap<PathId, Vec<String>> = std::collections::HashMap::new();
        for chunk in doomed.chunks(ROWS) {
            let among = in_clause::placeholders(1, chunk.len());
            for text in [
                format!(
                    "UPDATE realisations SET state = {REALISATION_DELETING} WHERE path_id IN ({among}) RETURNING path_id, key"
                ),
                format!("SELECT path_id, key FROM debug_infos WHERE path_id IN ({among})"),
            ] {
                let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                    .bind_all(chunk.iter().map(|path| path.id));
                for (id, key) in query.fetch_all(&mut *self.tx).await? {
                    keys.entry(id).or_default().push(key);
                }
            }
        }
        for path in doomed {
            path.pointers = keys.remove(&path.id).unwrap_or_default();
        }
        Ok(())
    }

    /// Gives back paths whose deletion the bucket refused: they are as they were, and
    /// their narinfos are written again by whoever commits them next.
    pub async fn restore_paths(&mut self, ids: &[PathId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let publication = self.next_publication().await?;
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "UPDATE realisations SET state = {REALISATION_PRESENT} WHERE path_id IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let realisations = in_clause::query(self.backend, text, chunk.len() == ROWS);
            let text = format!(
                "UPDATE paths SET state = {PUBLISHING}, fence = 0, publication = $1 \
                 WHERE state = {DELETING} AND id IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let paths = in_clause::query(self.backend, text, chunk.len() == ROWS).bind(publication);
            for mut query in [realisations, paths] {
                for id in chunk {
                    query = query.bind(*id);
                }
                query.execute(&mut *self.tx).await?;
            }
        }
        Ok(())
    }

    /// Ends the deletion of paths: nothing of them is in the bucket. Their NAR hashes tell that others may refer to them
    /// (`SeenReferences`).
    pub async fn bury_paths(&mut self, ids: &[PathId]) -> Result<()> {
        let empty = self.backend.empty_bytes();
        // They become absent in the last statement but one: those before it ask for paths that are being deleted.
        self.on_ids(ids, |ids| {
            format!("DELETE FROM realisations WHERE state = {REALISATION_DELETING} AND path_id IN ({ids})")
        })
        .await?;
        self.on_ids(ids, |ids| {
            format!(
                "DELETE FROM debug_infos WHERE path_id IN (SELECT id FROM paths WHERE state = {DELETING} AND id IN ({ids}))"
            )
        })
        .await?;
        self.on_ids(ids, |ids| {
            format!("DELETE FROM realisation_candidates WHERE path_id IN ({ids})")
        })
        .await?;
        self.on_ids(ids, |ids| {
            format!(
                "UPDATE paths SET state = {ABSENT}, fence = 0, condemned_at = 0, refs = {empty}, object_id = 0, \
                 sigs = '', ca = '', deriver = '', listing = '' WHERE state = {DELETING} AND id IN ({ids})"
            )
        })
        .await?;
        self.on_ids(ids, |ids| {
            format!(
                "DELETE FROM path_derivers WHERE path_id IN (SELECT id FROM paths WHERE state = {ABSENT} AND id IN ({ids}))"
            )
        })
        .await
    }

    /// Forgets absent paths that nothing in the database names, besides references of other paths, which are for the
    /// caller to know.
    pub async fn forget_paths(&mut self, ids: &[PathId]) -> Result<()> {
        self.on_ids(ids, |ids| {
            format!(
                "DELETE FROM paths WHERE state = {ABSENT} AND id IN ({ids}) \
                 AND NOT EXISTS (SELECT 1 FROM push_paths c WHERE c.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM push_roots r WHERE r.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM closures c WHERE c.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM pins n WHERE n.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM pin_targets n WHERE n.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM debug_infos d WHERE d.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM replacements r WHERE r.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM realisations r WHERE r.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM realisation_candidates r WHERE r.path_id = paths.id) \
                 AND NOT EXISTS (SELECT 1 FROM push_realisations r WHERE r.path_id = paths.id) \
                 AND id NOT IN (SELECT path_id FROM gc_dirty)"
            )
        })
        .await?;
        Ok(())
    }

    /// Begins to delete NARs that no path has; also goes on with those whose deletion
    /// was begun and is no longer worked on. What pushes under way have uploaded is for the
    /// caller to know.
    pub async fn doom_objects(&mut self, ids: &[ObjectId], fence: i64) -> Result<Vec<DoomedObject>> {
        let over = short_leases::over("fence", "$2");
        let mut doomed = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            // RETURNING gives what is, so what was has to be asked before.
            let text = format!(
                "SELECT id FROM objects WHERE state = {OBJECT_PENDING} AND id IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().copied());
            let pending: Vec<ObjectId> = query.fetch_all(&mut *self.tx).await?;
            let pending: std::collections::HashSet<ObjectId> = pending.into_iter().collect();
            let text = format!(
                "UPDATE objects SET state = {OBJECT_DELETING}, fence = $1 WHERE id IN ({}) \
                 AND (state <> {OBJECT_DELETING} OR {over}) \
                 AND NOT EXISTS (SELECT 1 FROM paths p WHERE p.object_id = objects.id AND p.object_id <> 0 \
                 AND p.state <> {ABSENT}) \
                 AND NOT EXISTS (SELECT 1 FROM replacements r WHERE r.object_id = objects.id AND r.kept_until > $2) RETURNING id, key, size",
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                .bind(fence)
                .bind(now())
                .bind_all(chunk.iter().copied());
            let rows: Vec<(ObjectId, String, i64)> = query.fetch_all(&mut *self.tx).await?;
            for (id, name, size) in rows {
                doomed.push(DoomedObject {
                    id,
                    name,
                    size,
                    pending: pending.contains(&id),
                });
            }
        }
        Ok(doomed)
    }

    /// Begins to delete NARs that neither a path nor a push names. Those that are being deleted are left to whoever does.
    pub async fn doom_unused_objects(&mut self, ids: &[ObjectId], fence: i64) -> Result<Vec<DoomedObject>> {
        let mut unused = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "SELECT id FROM objects WHERE state <> {OBJECT_DELETING} AND id IN ({}) \
                 AND id NOT IN (SELECT object_id FROM push_paths)",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_scalar::<ObjectId>(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().copied());
            unused.extend(query.fetch_all(&mut *self.tx).await?);
        }
        self.doom_objects(&unused, fence).await
    }

    /// Takes over the deletion of the NAR of that key, if nobody works on it any more.
    pub async fn take_over_object(&mut self, key: &str, fence: i64) -> Result<Option<DoomedObject>> {
        let text = format!(
            "UPDATE objects SET fence = $1 WHERE key = $2 AND state = {OBJECT_DELETING} AND {} RETURNING id, key, size",
            short_leases::over("fence", "$3")
        );
        let row: Option<(ObjectId, String, i64)> = in_clause::query_as(self.backend, text, true)
            .bind(fence)
            .bind(key.to_owned())
            .bind(now())
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(row.map(|(id, name, size)| DoomedObject {
            id,
            name,
            size,
            pending: false,
        }))
    }

    /// Gives back NARs whose deletion the bucket refused: whoever announces one again
    /// will find it there.
    pub async fn restore_objects(&mut self, ids: &[ObjectId]) -> Result<()> {
        self.objects_where_deleting(
            &format!("UPDATE objects SET state = {OBJECT_PENDING}, fence = 0"),
            "",
            ids,
            None,
        )
        .await
    }

    /// Ends the deletion of NARs. While a URL that writes one may live, its row stays, so
    /// that a later collection looks again. Nobody goes on with uploads in parts that became one of them.
    pub async fn bury_objects(&mut self, ids: &[ObjectId], urls_dead_before: i64) -> Result<()> {
        self.on_ids(ids, |ids| {
            format!("UPDATE multiparts SET state = {MULTIPART_GIVEN_UP}, object_id = NULL WHERE object_id IN ({ids})")
        })
        .await?;
        // Nothing should name one of them by now. No foreign key says so, since one would cost a commit too much.
        self.objects_where_deleting(
            "DELETE FROM objects",
            "announced_at <= $1 AND NOT EXISTS (SELECT 1 FROM paths p WHERE p.object_id = objects.id AND p.object_id <> 0) \
             AND id NOT IN (SELECT object_id FROM push_paths)",
            ids,
            Some(urls_dead_before),
        )
        .await?;
        self.restore_objects(ids).await
    }

    async fn objects_where_deleting(
        &mut self,
        verb: &str,
        also: &str,
        ids: &[ObjectId],
        bound: Option<i64>,
    ) -> Result<()> {
        for chunk in ids.chunks(ROWS) {
            let first = if bound.is_some() { 2 } else { 1 };
            let also = if also.is_empty() {
                String::new()
            } else {
                format!("{also} AND ")
            };
            let text = format!(
                "{verb} WHERE {also}state = {OBJECT_DELETING} AND id IN ({})",
                in_clause::placeholders(first, chunk.len())
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            if let Some(bound) = bound {
                query = query.bind(bound);
            }
            for id in chunk {
                query = query.bind(*id);
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Begins to delete build logs, or goes on with it. Whether something needs them is
    /// for the caller to know.
    pub async fn doom_logs(&mut self, drvs: &[String], fence: i64) -> Result<Vec<DoomedObject>> {
        let over = short_leases::over("fence", "$2");
        let mut doomed = Vec::with_capacity(drvs.len());
        for chunk in drvs.chunks(ROWS) {
            let text = format!(
                "UPDATE logs SET state = {LOG_DELETING}, fence = $1 WHERE drv IN ({}) AND (state = {LOG_PRESENT} OR {over}) \
                 RETURNING drv, size",
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                .bind(fence)
                .bind(now())
                .bind_all(chunk.iter().cloned());
            for (name, size) in query.fetch_all(&mut *self.tx).await? {
                doomed.push(DoomedObject {
                    id: ObjectId::default(),
                    name,
                    size,
                    pending: false,
                });
            }
        }
        Ok(doomed)
    }

    /// Takes over the deletion of a build log, if nobody works on it any more.
    pub async fn take_over_log(&mut self, drv: &str, fence: i64) -> Result<bool> {
        let text = format!(
            "UPDATE logs SET fence = $1 WHERE drv = $2 AND state = {LOG_DELETING} AND {}",
            short_leases::over("fence", "$3")
        );
        let done = in_clause::query(self.backend, text, true)
            .bind(fence)
            .bind(drv.to_owned())
            .bind(now())
            .execute(&mut *self.tx)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends the deletion of build logs: they are gone, or were refused and are there.
    pub async fn end_logs(&mut self, drvs: &[String], gone: bool) -> Result<()> {
        for chunk in drvs.chunks(ROWS) {
            let verb = if gone {
                "DELETE FROM logs".to_owned()
            } else {
                format!("UPDATE logs SET state = {LOG_PRESENT}, fence = 0")
            };
            let text = format!(
                "{verb} WHERE state = {LOG_DELETING} AND drv IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query =
                in_clause::query(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().cloned());
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}

impl Catalog {
    /// Moves the fence of what is being deleted, as long as it is the one that was set:
    /// paths by hash part, NARs by key, logs by derivation. Returns how many were moved.
    pub async fn move_fence(&self, what: Collected, names: &[String], from: i64, to: i64) -> Result<u64> {
        let (name, deleting) = match what {
            Collected::Paths => ("hash", DELETING),
            Collected::Objects => ("key", OBJECT_DELETING),
            Collected::Logs => ("drv", LOG_DELETING),
        };
        let mut moved = 0;
        let mut tx = self.write().await?;
        for chunk in names.chunks(ROWS) {
            let text = format!(
                "UPDATE {} SET fence = $1 WHERE fence = $2 AND state = {deleting} AND {name} IN ({})",
                what.table(),
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(to)
                .bind(from)
                .bind_all(chunk.iter().cloned());
            moved += query.execute(&mut *tx.tx).await?.rows_affected();
        }
        tx.commit().await?;
        Ok(moved)
    }

    /// Says that no request of an earlier process can still be on its way.
    pub async fn lift_fences(&self) -> Result<()> {
        let mut tx = self.write().await?;
        for table in ["paths", "objects", "logs", "pin_writes"] {
            in_clause::query(
                self.backend,
                format!("UPDATE {table} SET fence = 0 WHERE fence <> 0"),
                true,
            )
            .execute(&mut *tx.tx)
            .await?;
        }
        tx.commit().await
    }

    /// Among what a push relies on, the paths that are being deleted, and those whose
    /// realisations stand in the way of its own.
    pub async fn doomed_for(&self, push_id: PushId) -> Result<Vec<PathId>> {
        let rows = in_clause::query_scalar(
            self.backend,
            format!(
                "SELECT p.id FROM push_paths c JOIN paths p ON p.id = c.path_id \
             WHERE c.push_id = $1 AND c.kind <> {CLAIM_EXTERNAL} AND p.state = {DELETING} \
             UNION SELECT r.path_id FROM push_realisations n JOIN realisations r ON r.key = n.key \
             WHERE n.push_id = $1 AND r.state = {REALISATION_DELETING}"
            ),
            true,
        )
        .bind(push_id)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// Among the build logs that a push brings, those that are being deleted.
    pub async fn doomed_logs_for(&self, push_id: PushId) -> Result<Vec<String>> {
        let rows = in_clause::query_scalar(self.backend, format!("SELECT l.drv FROM push_logs c JOIN logs l ON l.drv = c.drv WHERE c.push_id = $1 AND l.state = {LOG_DELETING}"), true)
        .bind(push_id)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// Those NARs of some keys that are being deleted.
    pub async fn doomed_objects(&self, keys: &[String]) -> Result<Vec<String>> {
        let mut doomed = Vec::new();
        for chunk in keys.chunks(ROWS) {
            let text = format!(
                "SELECT key FROM objects WHERE state = {OBJECT_DELETING} AND key IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().cloned());
            doomed.extend(query.fetch_all(&self.reader).await?);
        }
        Ok(doomed)
    }
}
