//! A catalogue of many store paths, written straight into the database of a server.

use std::fmt::Write as _;

use anyhow::Context as _;
use sqlx::{AnyConnection, Connection as _, Executor as _};

/// Paths of a closure that no other has.
const OWN: u64 = 50;
/// References of each path.
const REFERENCES: u64 = 10;
/// Rows of a statement.
const ROWS: u64 = 1000;
const DAY: u64 = 24 * 3600;

/// How a database writes bytes.
#[derive(Clone, Copy)]
enum Bytes {
    Sqlite,
    Postgres,
}

impl Bytes {
    fn literal(self, bytes: &[u8]) -> String {
        let mut text = String::from(match self {
            Self::Sqlite => "x'",
            Self::Postgres => "'\\x",
        });
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\'');
        text
    }
}

/// Ids of what path `id` refers to, counted from 1: the path before it in its closure, and any
/// before, most of them among the tenth that all build on.
fn references(id: u64) -> Vec<u64> {
    let mut found = Vec::new();
    if id % OWN != 1 && id > 1 {
        found.push(id - 1);
    }
    let mut state = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while (found.len() as u64) < REFERENCES.min(id - 1) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let before = if found.len() < 7 { (id / 10).max(2) } else { id };
        found.push(1 + state % (before - 1).max(1));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Adds `paths` store paths of about ten references each, each with a NAR of its own, in
/// closures of fifty that share; half of them were pushed `old` days ago, the others now.
pub(crate) async fn fill(db: &str, paths: u64, old: u64) -> anyhow::Result<()> {
    let bytes = if db.starts_with("sqlite") {
        Bytes::Sqlite
    } else {
        Bytes::Postgres
    };
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let mut connection = AnyConnection::connect(db).await.context("the database")?;
    let mut tx = connection.begin().await?;
    for first in (1..=paths).step_by(usize::try_from(ROWS)?) {
        let mut names = String::from(
            "INSERT INTO paths (id, hash, name, state, nar_hash, nar_size, refs, object_id, created_at) VALUES ",
        );
        let mut objects =
            String::from("INSERT INTO objects (id, key, size, state, announced_at, created_at) VALUES ");
        for id in first..(first + ROWS).min(paths + 1) {
            let comma = if id == first { "" } else { "," };
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&id.to_be_bytes());
            let refs: Vec<u8> = references(id).into_iter().flat_map(u64::to_le_bytes).collect();
            let (hash, refs) = (bytes.literal(&hash), bytes.literal(&refs));
            let _ = write!(
                names,
                "{comma}({id},'{id:032}','{id:032}-catalogue-{id}',2,{hash},4096,{refs},{id},{now})"
            );
            let _ = write!(objects, "{comma}({id},'nar/{id:052}.nar.zst',1024,1,{now},{now})");
        }
        tx.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(names))).await?;
        tx.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(objects))).await?;
    }
    let roots: Vec<u64> = (1..=paths).filter(|id| id % OWN == 0 || *id == paths).collect();
    for chunk in roots.chunks(usize::try_from(ROWS)?) {
        let mut closures = String::from("INSERT INTO closures (path_id, created_at, pushed_at) VALUES ");
        for (place, id) in chunk.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let pushed = if (id / OWN).is_multiple_of(2) {
                now - old * DAY
            } else {
                now
            };
            let _ = write!(closures, "{comma}({id},{pushed},{pushed})");
        }
        tx.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(closures))).await?;
    }
    if matches!(bytes, Bytes::Postgres) {
        for table in ["paths", "objects"] {
            let text = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'id'), {})",
                paths + 1
            );
            tx.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(text))).await?;
        }
    }
    tx.commit().await?;
    connection.execute("ANALYZE").await?;
    connection.close().await?;
    Ok(())
}

/// Empties a catalogue.
pub(crate) async fn clear(db: &str) -> anyhow::Result<()> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(db).await.context("the database")?;
    for table in ["closures", "paths", "objects"] {
        let text = format!("DELETE FROM {table}");
        connection
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(text)))
            .await?;
    }
    connection.close().await?;
    Ok(())
}

/// Makes all closures so young that none goes, whatever is asked for.
pub(crate) async fn renew(db: &str) -> anyhow::Result<()> {
    let mut connection = AnyConnection::connect(db).await?;
    let text = format!("UPDATE closures SET pushed_at = pushed_at + {}", 1000 * DAY);
    connection
        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(text)))
        .await?;
    connection.close().await?;
    Ok(())
}
