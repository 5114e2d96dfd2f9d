//! What a garbage collection reads: everything that is there, and everything that
//! may need it.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::bulk::{self, ROWS};
use super::objects::OBJECT_PENDING;
use super::{Catalog, Result, WriteTx, path_columns, ClosureId, DirtyId, ObjectId, PathId, PushId};

/// A path with what it needs.
#[derive(Debug, Clone)]
pub struct PathNode {
    /// Id of the path.
    pub id: PathId,
    /// Whether it has, or may have, objects in the bucket.
    pub there: bool,
    /// Since when nothing needs it; 0 when something did.
    pub condemned_at: i64,
    /// Id of its NAR; 0 when there is none.
    pub object_id: ObjectId,
    /// Base name of its deriver, or nothing.
    pub deriver: String,
    /// Ids of the paths it refers to.
    pub refs: Vec<PathId>,
}

/// A NAR.
#[derive(Debug, Clone)]
pub struct ObjectNode {
    /// Id of the object.
    pub id: ObjectId,
    /// Bytes.
    pub size: i64,
    /// Since when nothing needs it; 0 when something did.
    pub condemned_at: i64,
    /// Nobody has seen it in the bucket.
    pub pending: bool,
}

/// A build log.
#[derive(Debug, Clone)]
pub struct LogNode {
    /// Base name of its derivation.
    pub drv: String,
    /// Bytes.
    pub size: i64,
    /// Since when nothing needs it; 0 when something did.
    pub condemned_at: i64,
}

/// A closure that has not been pushed for long.
#[derive(Debug, Clone)]
pub struct OldClosure {
    /// Id of the closure.
    pub id: ClosureId,
    /// Id of its root.
    pub path_id: PathId,
    /// Base name of its root.
    pub root: String,
    /// Unix time of its last push.
    pub pushed_at: i64,
}

/// What a push under way needs.
#[derive(Debug, Clone)]
pub struct LivePush {
    /// Id of the push.
    pub id: PushId,
    /// Counts its changes.
    pub revision: i64,
}

const NODE: &str = "id, state, condemned_at, object_id, deriver, refs";

fn node(row: &AnyRow) -> Result<PathNode> {
    Ok(PathNode {
        id: row.try_get(0)?,
        there: row.try_get::<i64, _>(1)? != path_columns::ABSENT,
        condemned_at: row.try_get(2)?,
        object_id: row.try_get(3)?,
        deriver: row.try_get(4)?,
        refs: path_columns::unpack_refs(&row.try_get::<Vec<u8>, _>(5)?)?,
    })
}

impl Catalog {
    /// Paths in the order of their ids, after one.
    pub async fn path_nodes(&self, after: PathId, limit: i64) -> Result<Vec<PathNode>> {
        let text = format!("SELECT {NODE} FROM paths WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = bulk::query(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(node).collect()
    }

    /// NARs in the order of their ids, after one.
    pub async fn object_nodes(&self, after: ObjectId, limit: i64) -> Result<Vec<ObjectNode>> {
        let rows = sqlx::query(
            "SELECT id, size, condemned_at, state FROM objects WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ObjectNode {
                    id: row.try_get(0)?,
                    size: row.try_get(1)?,
                    condemned_at: row.try_get(2)?,
                    pending: row.try_get::<i64, _>(3)? == OBJECT_PENDING,
                })
            })
            .collect()
    }

    /// How many realisations the paths have that have some.
    pub async fn realisation_counts(&self) -> Result<Vec<(PathId, i64)>> {
        let rows = sqlx::query("SELECT path_id, COUNT(*) FROM realisations GROUP BY path_id")
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// Build logs in the order of their names, after one.
    pub async fn log_nodes(&self, after: &str, limit: i64) -> Result<Vec<LogNode>> {
        let rows =
            sqlx::query("SELECT drv, size, condemned_at FROM logs WHERE drv > $1 ORDER BY drv LIMIT $2")
                .bind(after.to_owned())
                .bind(limit)
                .fetch_all(&self.reader)
                .await?;
        rows.iter()
            .map(|row| {
                Ok(LogNode {
                    drv: row.try_get(0)?,
                    size: row.try_get(1)?,
                    condemned_at: row.try_get(2)?,
                })
            })
            .collect()
    }

    /// Closures that were not pushed since a time and that no pin keeps, in the order of
    /// their ids, after one.
    pub async fn old_closures(&self, before: i64, after: ClosureId, limit: i64) -> Result<Vec<OldClosure>> {
        let rows = sqlx::query(
            "SELECT c.id, c.path_id, p.name, c.pushed_at FROM closures c JOIN paths p ON p.id = c.path_id \
             WHERE c.pushed_at <= $1 AND c.id > $2 AND NOT EXISTS (SELECT 1 FROM pins n WHERE n.path_id = c.path_id) \
             AND NOT EXISTS (SELECT 1 FROM pin_targets n WHERE n.path_id = c.path_id) \
             ORDER BY c.id LIMIT $3",
        )
        .bind(before)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(OldClosure {
                    id: row.try_get(0)?,
                    path_id: row.try_get(1)?,
                    root: row.try_get(2)?,
                    pushed_at: row.try_get(3)?,
                })
            })
            .collect()
    }
}

impl WriteTx {
    /// How often closures and pins have changed.
    pub async fn roots_revision(&mut self) -> Result<i64> {
        let row = sqlx::query("SELECT value FROM counters WHERE name = 'roots'")
            .fetch_one(&mut *self.tx)
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Ids of the paths that closures and pins name, and that the objects of pins may still name, besides
    /// the closures that were not pushed since `except_before`.
    pub async fn root_ids(&mut self, except_before: Option<i64>) -> Result<Vec<PathId>> {
        let rows = sqlx::query(
            "SELECT path_id FROM closures WHERE pushed_at > $1 UNION SELECT path_id FROM pins \
             UNION SELECT path_id FROM pin_targets",
        )
        .bind(except_before.unwrap_or(-1))
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// The pushes under way.
    pub async fn live_pushes(&mut self) -> Result<Vec<LivePush>> {
        let rows = sqlx::query("SELECT id, revision FROM pushes WHERE state IN (0, 1)")
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(LivePush {
                    id: row.try_get(0)?,
                    revision: row.try_get(1)?,
                })
            })
            .collect()
    }

    /// What a push claims, of that what has changed since one of its revisions; its roots
    /// come with its first.
    pub async fn claim_nodes(&mut self, push_id: PushId, since: Option<i64>) -> Result<Vec<PathNode>> {
        let rows = sqlx::query(
            "SELECT path_id, kind, revision, object_id, deriver, refs FROM push_paths \
             WHERE push_id = $1 AND revision > $2",
        )
        .bind(push_id)
        .bind(since.unwrap_or(-1))
        .fetch_all(&mut *self.tx)
        .await?;
        let mut nodes = rows
            .iter()
            .map(|row| {
                Ok(PathNode {
                    id: row.try_get(0)?,
                    there: true,
                    condemned_at: 0,
                    object_id: row.try_get(3)?,
                    deriver: row.try_get(4)?,
                    refs: path_columns::unpack_refs(&row.try_get::<Vec<u8>, _>(5)?)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        if since.is_none() {
            let roots = sqlx::query("SELECT path_id FROM push_roots WHERE push_id = $1")
                .bind(push_id)
                .fetch_all(&mut *self.tx)
                .await?;
            for row in &roots {
                nodes.push(PathNode {
                    id: row.try_get(0)?,
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
        let rows = sqlx::query("SELECT id, path_id FROM gc_dirty WHERE id > $1 ORDER BY id")
            .bind(after)
            .fetch_all(&mut *self.tx)
            .await?;
        let mut last = after;
        let mut ids: Vec<PathId> = Vec::with_capacity(rows.len());
        for row in &rows {
            last = row.try_get(0)?;
            ids.push(row.try_get(1)?);
        }
        let mut nodes = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "SELECT {NODE} FROM paths WHERE id IN ({})",
                bulk::placeholders(1, chunk.len())
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS);
            for id in chunk {
                query = query.bind(*id);
            }
            for row in query.fetch_all(&mut *self.tx).await? {
                nodes.push(node(&row)?);
            }
        }
        Ok((last, nodes))
    }
}
