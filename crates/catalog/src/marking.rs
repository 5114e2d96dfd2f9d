//! What a garbage collection reads: everything that is there, and everything that
//! may need it.

use super::columns::{Flag, References};
use super::in_clause::{self, BindAll as _, ROWS};
use super::objects::OBJECT_PENDING;
use super::path_columns::ABSENT;
use super::states::{PUSH_COMMITTING, PUSH_OPEN};
use super::{Catalog, ClosureId, DirtyId, ObjectId, PathId, PushId, Result, WriteTx};

/// A path with what it needs.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PathNode {
    /// Id of the path.
    pub id: PathId,
    /// Whether it has, or may have, objects in the bucket.
    #[sqlx(try_from = "Flag")]
    pub there: bool,
    /// Since when nothing needs it; 0 when something did.
    pub condemned_at: i64,
    /// Id of its NAR; 0 when there is none.
    pub object_id: ObjectId,
    /// Base name of its deriver, or nothing.
    pub deriver: String,
    /// Ids of the paths it refers to.
    #[sqlx(try_from = "References")]
    pub refs: Vec<PathId>,
}

/// A NAR.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ObjectNode {
    /// Id of the object.
    pub id: ObjectId,
    /// Bytes.
    pub size: i64,
    /// Since when nothing needs it; 0 when something did.
    pub condemned_at: i64,
    /// Nobody has seen it in the bucket.
    #[sqlx(try_from = "Flag")]
    pub pending: bool,
}

/// A build log.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct LogNode {
    /// Base name of its derivation.
    pub drv: String,
    /// Bytes.
    pub size: i64,
    /// Since when nothing needs it; 0 when something did.
    pub condemned_at: i64,
}

/// A closure that has been neither pushed nor used for long.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct OldClosure {
    /// Id of the closure.
    pub id: ClosureId,
    /// Id of its root.
    pub path_id: PathId,
    /// Base name of its root.
    #[sqlx(rename = "name")]
    pub root: String,
    /// Unix time of its last push.
    pub pushed_at: i64,
}

/// What a push under way needs.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct LivePush {
    /// Id of the push.
    pub id: PushId,
    /// Counts its changes.
    pub revision: i64,
}

fn node_columns() -> String {
    format!(
        "id, CASE WHEN state = {ABSENT} THEN 0 ELSE 1 END AS there, condemned_at, object_id, deriver, refs"
    )
}

impl Catalog {
    /// Paths in the order of their ids, after one.
    pub async fn path_nodes(&self, after: PathId, limit: i64) -> Result<Vec<PathNode>> {
        let text = format!(
            "SELECT {} FROM paths WHERE id > $1 ORDER BY id LIMIT $2",
            node_columns()
        );
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// NARs in the order of their ids, after one.
    pub async fn object_nodes(&self, after: ObjectId, limit: i64) -> Result<Vec<ObjectNode>> {
        let text = format!(
            "SELECT id, size, condemned_at, CASE WHEN state = {OBJECT_PENDING} THEN 1 ELSE 0 END AS pending \
             FROM objects WHERE id > $1 ORDER BY id LIMIT $2"
        );
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// How many realisations the paths have that have some.
    pub async fn realisation_counts(&self) -> Result<Vec<(PathId, i64)>> {
        let rows = sqlx::query_as("SELECT path_id, COUNT(*) FROM realisations GROUP BY path_id")
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// Build logs in the order of their names, after one.
    pub async fn log_nodes(&self, after: &str, limit: i64) -> Result<Vec<LogNode>> {
        let rows =
            sqlx::query_as("SELECT drv, size, condemned_at FROM logs WHERE drv > $1 ORDER BY drv LIMIT $2")
                .bind(after.to_owned())
                .bind(limit)
                .fetch_all(&self.reader)
                .await?;
        Ok(rows)
    }

    /// Closures that were neither pushed nor used since a time and that no pin keeps, in the order of
    /// their ids, after one.
    pub async fn old_closures(&self, before: i64, after: ClosureId, limit: i64) -> Result<Vec<OldClosure>> {
        let rows = sqlx::query_as(
            "SELECT c.id, c.path_id, p.name, c.pushed_at FROM closures c JOIN paths p ON p.id = c.path_id \
             WHERE c.pushed_at <= $1 AND c.used_at <= $1 AND c.id > $2 AND NOT EXISTS (SELECT 1 FROM pins n WHERE n.path_id = c.path_id) \
             AND NOT EXISTS (SELECT 1 FROM pin_targets n WHERE n.path_id = c.path_id) \
             ORDER BY c.id LIMIT $3",
        )
        .bind(before)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }
}

impl WriteTx {
    /// How often closures and pins have changed.
    pub async fn roots_revision(&mut self) -> Result<i64> {
        Ok(
            sqlx::query_scalar("SELECT value FROM counters WHERE name = 'roots'")
                .fetch_one(&mut *self.tx)
                .await?,
        )
    }

    /// Ids of the paths that closures and pins name, and that the objects of pins may still name, with whether it is a
    /// pin that names it.
    pub async fn root_ids(&mut self) -> Result<Vec<(PathId, bool)>> {
        let rows: Vec<(PathId, i64)> = sqlx::query_as(
            "SELECT path_id, CAST(0 AS BIGINT) AS pinned FROM closures UNION ALL SELECT path_id, CAST(1 AS BIGINT) FROM pins \
             UNION ALL SELECT path_id, CAST(1 AS BIGINT) FROM pin_targets",
        )
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows.into_iter().map(|(id, pinned)| (id, pinned != 0)).collect())
    }

    /// The pushes under way.
    pub async fn live_pushes(&mut self) -> Result<Vec<LivePush>> {
        let rows = in_clause::query_as(
            self.backend,
            format!("SELECT id, revision FROM pushes WHERE state IN ({PUSH_OPEN}, {PUSH_COMMITTING})"),
            true,
        )
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }

    /// What a push claims, of that what has changed since one of its revisions; its roots
    /// come with its first.
    pub async fn claim_nodes(&mut self, push_id: PushId, since: Option<i64>) -> Result<Vec<PathNode>> {
        let mut nodes: Vec<PathNode> = sqlx::query_as(
            "SELECT path_id AS id, 1 AS there, CAST(0 AS BIGINT) AS condemned_at, object_id, deriver, refs FROM push_paths \
             WHERE push_id = $1 AND revision > $2",
        )
        .bind(push_id)
        .bind(since.unwrap_or(-1))
        .fetch_all(&mut *self.tx)
        .await?;
        if since.is_none() {
            let roots: Vec<PathId> = sqlx::query_scalar("SELECT path_id FROM push_roots WHERE push_id = $1")
                .bind(push_id)
                .fetch_all(&mut *self.tx)
                .await?;
            for id in roots {
                nodes.push(PathNode {
                    id,
                    there: true,
                    condemned_at: 0,
                    object_id: ObjectId::default(),
                    deriver: String::new(),
                    refs: Vec::new(),
                });
            }
        }
        Ok(nodes)
    }

    /// The paths that were decided since the collection began, after one of that list;
    /// with the place of the last.
    pub async fn dirty_nodes(&mut self, after: DirtyId) -> Result<(DirtyId, Vec<PathNode>)> {
        let rows: Vec<(DirtyId, PathId)> =
            sqlx::query_as("SELECT id, path_id FROM gc_dirty WHERE id > $1 ORDER BY id")
                .bind(after)
                .fetch_all(&mut *self.tx)
                .await?;
        let last = rows.last().map_or(after, |(id, _)| *id);
        let ids: Vec<PathId> = rows.into_iter().map(|(_, path_id)| path_id).collect();
        let mut nodes = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "SELECT {} FROM paths WHERE id IN ({})",
                node_columns(),
                in_clause::placeholders(1, chunk.len())
            );
            let query =
                in_clause::query_as(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            nodes.extend(query.fetch_all(&mut *self.tx).await?);
        }
        Ok((last, nodes))
    }
}
