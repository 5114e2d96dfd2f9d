//! What pages ask: each question reads a bounded number of rows, whatever the cache holds.

use std::collections::HashSet;

use niks3_nix::store_path::StorePath;

use super::columns::{Natural, PathName, References};
use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::{PRESENT, PUBLISHING};
use super::{Catalog, ObjectId, PathId, Result};

/// Most paths of which a search by name looks at the names.
const WINDOW: i64 = 100_000;

/// A path that is in the cache.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Member {
    /// Its id.
    pub id: PathId,
    /// The path.
    #[sqlx(rename = "name", try_from = "PathName")]
    pub path: StorePath,
    /// Bytes of its NAR.
    #[sqlx(rename = "nar_size", try_from = "Natural")]
    pub nar_bytes: u64,
    /// Bytes of its NAR in the bucket.
    #[sqlx(rename = "size", try_from = "Natural")]
    pub file_bytes: u64,
    /// Ids of what it refers to.
    #[sqlx(try_from = "References")]
    pub refs: Vec<PathId>,
    /// The NAR in the bucket, by id.
    #[sqlx(rename = "object_id")]
    pub object: ObjectId,
    /// The derivation it was built by, or nothing.
    pub deriver: String,
    /// Content address, or nothing.
    pub ca: String,
}

/// The paths of a closure, as far as they were read.
#[derive(Debug, Clone, Default)]
pub struct Members {
    /// Paths, those next to the root first.
    pub paths: Vec<Member>,
    /// There are no others.
    pub complete: bool,
}

/// What a search found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Base names of paths.
    pub paths: Vec<String>,
    /// Where to go on among older paths.
    pub before: Option<PathId>,
}

const SELECT: &str = "SELECT p.id, p.name, p.nar_size, o.size, p.refs, p.object_id, p.deriver, p.ca \
     FROM paths p JOIN objects o ON o.id = p.object_id";

impl Catalog {
    /// A path that is in the cache.
    pub async fn member(&self, path: &StorePath) -> Result<Option<Member>> {
        let text =
            format!("{SELECT} WHERE p.hash = $1 AND p.name = $2 AND p.state IN ({PUBLISHING}, {PRESENT})");
        let row = in_clause::query_as(self.backend, text, true)
            .bind(path.hash_part().to_owned())
            .bind(path.to_string())
            .fetch_optional(&self.reader)
            .await?;
        Ok(row)
    }

    /// The closure of a path, as long as it has no more paths than that.
    pub async fn members(&self, root: Member, most: usize) -> Result<Members> {
        let mut asked = HashSet::from([root.id]);
        let mut level: Vec<PathId> = root.refs.clone();
        level.retain(|id| asked.insert(*id));
        let mut members = vec![root];
        while !level.is_empty() {
            let mut next = Vec::new();
            for chunk in level.chunks(ROWS) {
                if members.len() + chunk.len() > most {
                    return Ok(Members {
                        paths: members,
                        complete: false,
                    });
                }
                let text = format!(
                    "{SELECT} WHERE p.state IN ({PUBLISHING}, {PRESENT}) AND p.id IN ({})",
                    in_clause::placeholders(1, chunk.len())
                );
                let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                    .bind_all(chunk.iter().copied());
                let rows: Vec<Member> = query.fetch_all(&self.reader).await?;
                for found in rows {
                    next.extend(found.refs.iter().copied().filter(|id| asked.insert(*id)));
                    members.push(found);
                }
            }
            level = next;
        }
        Ok(Members {
            paths: members,
            complete: true,
        })
    }

    /// Paths whose hash part begins with a text, in the order of their hash parts.
    pub async fn paths_by_hash(&self, beginning: &str, limit: i64) -> Result<Vec<String>> {
        // Behind every hash part that begins so.
        let end = format!("{beginning}~");
        let text = format!(
            "SELECT name FROM paths WHERE hash >= $1 AND hash < $2 AND state = {PRESENT} ORDER BY hash LIMIT $3"
        );
        let rows = in_clause::query_scalar(self.backend, text, true)
            .bind(beginning.to_owned())
            .bind(end)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// Paths whose name holds a text, whatever the case, from the newest on; each call looks at
    /// so many names at most, and says where the next goes on.
    pub async fn paths_by_name(&self, part: &str, before: Option<PathId>, limit: i64) -> Result<Found> {
        let before = before.unwrap_or(PathId::from(i64::MAX));
        let last: Option<PathId> =
            sqlx::query_scalar("SELECT id FROM paths WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2")
                .bind(before)
                .bind(WINDOW)
                .fetch_optional(&self.reader)
                .await?;
        let pattern: String = part
            .to_lowercase()
            .chars()
            .flat_map(|c| {
                ['%', '_', '\\']
                    .contains(&c)
                    .then_some('\\')
                    .into_iter()
                    .chain([c])
            })
            .collect();
        let text = format!(
            "SELECT id, name FROM paths WHERE id < $1 AND id > $2 AND state = {PRESENT} \
             AND lower(substr(name, 34)) LIKE $3 ESCAPE '\\' ORDER BY id DESC LIMIT $4"
        );
        let rows: Vec<(PathId, String)> = in_clause::query_as(self.backend, text, true)
            .bind(before)
            .bind(last.unwrap_or_default())
            .bind(format!("%{pattern}%"))
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        let mut found = Found {
            before: last.map(|last| PathId::from(last.get() + 1)),
            ..Found::default()
        };
        if i64::try_from(rows.len()) == Ok(limit) {
            found.before = rows.last().map(|(id, _)| *id);
        }
        found.paths.extend(rows.into_iter().map(|(_, name)| name));
        Ok(found)
    }

    /// How many closures were last pushed and used before a time, counted up to a limit; pinned ones too.
    pub async fn closures_before(&self, time: i64, limit: i64) -> Result<i64> {
        Ok(sqlx::query_scalar(
            "SELECT COUNT(*) FROM (SELECT id FROM closures WHERE pushed_at <= $1 AND used_at <= $1 LIMIT $2) AS old",
        )
        .bind(time)
        .bind(limit)
        .fetch_one(&self.reader)
        .await?)
    }

    /// Names of pins of a path, up to a limit.
    pub async fn pins_of(&self, path_id: PathId, limit: i64) -> Result<Vec<String>> {
        let rows = sqlx::query_scalar("SELECT name FROM pins WHERE path_id = $1 ORDER BY name LIMIT $2")
            .bind(path_id)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }
}
