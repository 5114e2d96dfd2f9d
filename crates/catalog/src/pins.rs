//! Pins: roots with names. Each change is written down in `pin_writes` until the object
//! in the bucket is known to be as the change has it; one request at a time may be
//! under way for it. Until then the object may name any target that the pin has had since
//! the bucket last confirmed one: `pin_targets` keeps those as roots.

use niks3_base::error::Error;
use niks3_nix::store_path::StorePath;

use super::columns::PathName;
use super::path_columns::{PRESENT, PUBLISHING};
use super::{Catalog, PathId, PushId, Result, WriteTx, in_clause, now, short_leases};

/// A named root.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Pin {
    /// Its name.
    #[sqlx(rename = "pin_name")]
    pub name: String,
    /// What it keeps, with its closure.
    #[sqlx(rename = "path_name", try_from = "PathName")]
    pub path: StorePath,
    /// Unix time at which the name was made.
    pub created_at: i64,
    /// Unix time at which it was last pointed somewhere.
    pub updated_at: i64,
}

/// What [`WriteTx::set_pin`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinnedAs {
    /// The path is in the cache.
    Present,
    /// The path is committed, with this id; its narinfo may not be in the bucket.
    Publishing(PathId),
    /// Nothing: the cache does not have the path.
    Nothing,
}

/// The turn to write the object of a pin.
#[derive(Debug, Clone)]
pub struct PinWrite {
    /// The change that it writes.
    pub generation: i64,
    /// What the pin points at; the object goes when it is `None`.
    pub path: Option<StorePath>,
}

/// Why a pin of some name cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameTaken {
    /// There is one of this name, which differs in upper and lower case alone: on some file systems the two have one file.
    By(String),
    /// There was one, whose deletion the bucket has not confirmed.
    Going(String),
}

impl From<NameTaken> for Error {
    fn from(taken: NameTaken) -> Self {
        match taken {
            NameTaken::By(other) => Self::conflict(format!(
                "there is a pin {other}: names that differ in upper and lower case alone are one file on some file systems"
            )),
            NameTaken::Going(other) => Self::unavailable(
                format!("the pin {other} is being deleted, whose name differs in upper and lower case alone"),
                5,
            ),
        }
    }
}

/// Whether the object of a pin is to be written, and by whom.
#[derive(Debug, Clone)]
pub enum PinTurn {
    /// The bucket has confirmed it as it is.
    Settled,
    /// A request of somebody else may be under way.
    Busy,
    /// The caller writes it, before its fence.
    Mine(PinWrite),
}

const COLUMNS: &str = "n.name AS pin_name, p.name AS path_name, n.created_at, n.updated_at FROM pins n JOIN paths p ON p.id = n.path_id";

impl Catalog {
    /// The pin of that name.
    pub async fn pin(&self, name: &str) -> Result<Option<Pin>> {
        let row = in_clause::query_as(self.backend, format!("SELECT {COLUMNS} WHERE n.name = $1"), true)
            .bind(name.to_owned())
            .fetch_optional(&self.reader)
            .await?;
        Ok(row)
    }

    /// Pins in the order of their names, after one.
    pub async fn pins(&self, after: &str, limit: i64) -> Result<Vec<Pin>> {
        let text = format!("SELECT {COLUMNS} WHERE n.name > $1 ORDER BY n.name LIMIT $2");
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(after.to_owned())
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// Names of pins whose object may not be as the database has it, and that no request
    /// is under way for, after one.
    pub async fn unsettled_pins(&self, after: &str, limit: i64) -> Result<Vec<String>> {
        let text = format!(
            "SELECT name FROM pin_writes WHERE name > $1 AND {} ORDER BY name LIMIT $3",
            short_leases::over("fence", "$2")
        );
        let rows = in_clause::query_scalar(self.backend, text, true)
            .bind(after.to_owned())
            .bind(now())
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }
}

impl WriteTx {
    /// Whether a new pin would share its file with another one where upper and lower case are the same. A pin that
    /// is there already may be changed, whatever its name.
    pub async fn pin_name_taken(&mut self, name: &str) -> Result<Option<NameTaken>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT name, CAST(0 AS BIGINT) AS going FROM pins WHERE lower(name) = lower($1) \
             UNION ALL SELECT name, CAST(1 AS BIGINT) FROM pin_writes WHERE lower(name) = lower($1) ORDER BY going",
        )
        .bind(name.to_owned())
        .fetch_all(&mut *self.tx)
        .await?;
        let mut taken = None;
        for (other, going) in rows {
            match (other == name, going == 0) {
                (true, true) => return Ok(None),
                (true, false) => {}
                (false, true) => taken = Some(NameTaken::By(other)),
                (false, false) => taken = taken.or(Some(NameTaken::Going(other))),
            }
        }
        Ok(taken)
    }

    /// Points a pin at a path that the cache has.
    pub async fn set_pin(&mut self, name: &str, path: &StorePath) -> Result<PinnedAs> {
        let row: Option<(PathId, i64)> =
            sqlx::query_as("SELECT id, state FROM paths WHERE hash = $1 AND name = $2")
                .bind(path.hash_part().to_owned())
                .bind(path.to_string())
                .fetch_optional(&mut *self.tx)
                .await?;
        let Some((id, state)) = row else {
            return Ok(PinnedAs::Nothing);
        };
        let found = match state {
            PRESENT => PinnedAs::Present,
            PUBLISHING => PinnedAs::Publishing(id),
            _ => return Ok(PinnedAs::Nothing),
        };
        self.pin_changed(name).await?;
        sqlx::query(
            "INSERT INTO pins (name, path_id, created_at, updated_at) VALUES ($1, $2, $3, $3) \
             ON CONFLICT (name) DO UPDATE SET path_id = excluded.path_id, updated_at = excluded.updated_at",
        )
        .bind(name.to_owned())
        .bind(id)
        .bind(now())
        .execute(&mut *self.tx)
        .await?;
        self.roots_changed().await?;
        Ok(found)
    }

    /// Points a pin at the root of a push that has one root.
    pub(super) async fn add_pin(&mut self, push_id: PushId, name: &str) -> Result<()> {
        self.pin_changed(name).await?;
        sqlx::query(
            "INSERT INTO pins (name, path_id, created_at, updated_at) \
             SELECT $1, path_id, $2, $2 FROM push_roots WHERE push_id = $3 \
             ON CONFLICT (name) DO UPDATE SET path_id = excluded.path_id, updated_at = excluded.updated_at",
        )
        .bind(name.to_owned())
        .bind(now())
        .bind(push_id)
        .execute(&mut *self.tx)
        .await?;
        self.roots_changed().await
    }

    /// Deletes a pin; false when there is none.
    pub async fn delete_pin(&mut self, name: &str) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM pins WHERE name = $1")
            .bind(name.to_owned())
            .fetch_optional(&mut *self.tx)
            .await?;
        if row.is_none() {
            return Ok(false);
        }
        self.pin_changed(name).await?;
        sqlx::query("DELETE FROM pins WHERE name = $1")
            .bind(name.to_owned())
            .execute(&mut *self.tx)
            .await?;
        Ok(true)
    }

    /// Notes that the object of a pin has to be written, or deleted. Called before the change: the
    /// target that the pin has now stays a root until the bucket has confirmed the change.
    pub async fn pin_changed(&mut self, name: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO pin_writes (name, generation) VALUES ($1, 1) \
             ON CONFLICT (name) DO UPDATE SET generation = pin_writes.generation + 1",
        )
        .bind(name.to_owned())
        .execute(&mut *self.tx)
        .await?;
        sqlx::query(
            "INSERT INTO pin_targets (name, path_id) SELECT name, path_id FROM pins WHERE name = $1 \
             ON CONFLICT (name, path_id) DO NOTHING",
        )
        .bind(name.to_owned())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Takes the turn to write the object of a pin, until a fence.
    pub async fn take_pin_turn(&mut self, name: &str, fence: i64) -> Result<PinTurn> {
        let text = format!(
            "UPDATE pin_writes SET fence = $1 WHERE name = $2 AND {} RETURNING generation",
            short_leases::over("fence", "$3")
        );
        let taken: Option<i64> = in_clause::query_scalar(self.backend, text, true)
            .bind(fence)
            .bind(name.to_owned())
            .bind(now())
            .fetch_optional(&mut *self.tx)
            .await?;
        let Some(generation) = taken else {
            let row = sqlx::query("SELECT 1 FROM pin_writes WHERE name = $1")
                .bind(name.to_owned())
                .fetch_optional(&mut *self.tx)
                .await?;
            return Ok(if row.is_some() {
                PinTurn::Busy
            } else {
                PinTurn::Settled
            });
        };
        let path: Option<PathName> = sqlx::query_scalar(
            "SELECT p.name FROM pins n JOIN paths p ON p.id = n.path_id WHERE n.name = $1",
        )
        .bind(name.to_owned())
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(PinTurn::Mine(PinWrite {
            generation,
            path: path.map(StorePath::from),
        }))
    }

    /// Ends a turn after which no request is under way. The object is settled when it was
    /// written and the pin has not changed since; true then.
    pub async fn end_pin_turn(&mut self, name: &str, fence: i64, written: Option<&PinWrite>) -> Result<bool> {
        if let Some(write) = written {
            let done =
                sqlx::query("DELETE FROM pin_writes WHERE name = $1 AND fence = $2 AND generation = $3")
                    .bind(name.to_owned())
                    .bind(fence)
                    .bind(write.generation)
                    .execute(&mut *self.tx)
                    .await?;
            if done.rows_affected() == 1 {
                return Ok(true);
            }
        }
        sqlx::query("UPDATE pin_writes SET fence = 0 WHERE name = $1 AND fence = $2")
            .bind(name.to_owned())
            .bind(fence)
            .execute(&mut *self.tx)
            .await?;
        Ok(false)
    }
}
