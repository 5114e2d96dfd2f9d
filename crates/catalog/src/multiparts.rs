//! Uploads in parts, which outlive the push that began them.

use std::collections::{HashMap, HashSet};

use niks3_nix::hash::NarHash;

use super::columns::{NarHashBytes, Sha256Bytes, codes};
use super::in_clause::{self, ROWS};
use super::objects::OBJECT_PRESENT;
use super::states::{CLAIM_NEEDED, MULTIPART_COMPLETED, MULTIPART_GIVEN_UP, MULTIPART_OPEN};
use super::{Catalog, MultipartId, ObjectId, Result, WriteTx, now, short_leases};

/// Where an upload in parts stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MultipartState {
    /// Parts are arriving.
    Open,
    /// It became an object.
    Completed,
    /// Nobody may go on with it.
    GivenUp,
}

/// An upload in parts.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Multipart {
    /// Id in the database.
    pub id: MultipartId,
    /// Contents it holds: SHA-256 of the NAR.
    #[sqlx(try_from = "NarHashBytes")]
    pub nar_hash: NarHash,
    /// Bytes of the NAR.
    pub nar_size: i64,
    /// What compressed them; equal names make equal bytes.
    pub compressor: String,
    /// Who may continue it.
    pub identity: String,
    /// Bytes of every part but the last.
    pub part_size: i64,
    /// Key of the object that the parts become, which no other upload has.
    pub key: String,
    /// The service's name for it.
    pub upload_id: String,
    /// Where it stands.
    pub state: MultipartState,
    /// What it became.
    pub object_id: Option<ObjectId>,
    /// Until when a request has its turn to make one object of the parts, in Unix seconds.
    pub turn_until: i64,
}

codes!(
    MultipartState,
    "multipart state",
    Open = 0,
    Completed = 1,
    GivenUp = 2
);

impl Multipart {
    /// Whether a request is making one object of the parts.
    #[must_use]
    pub fn completing(&self) -> bool {
        self.state == MultipartState::Open && short_leases::is_held(self.turn_until)
    }
}

/// What became of parts that were announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// They belong to the upload; so many bytes did not before.
    Taken(u64),
    /// Together the parts have more bytes than the upload may have.
    TooLarge,
    /// The part of that number was announced before with other bytes.
    Other(i64),
    /// The upload takes no more parts.
    Closed,
}

/// A part that a URL was given out for.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PartRow {
    /// 1 to 10,000.
    pub number: i64,
    /// Bytes.
    pub size: i64,
    /// What the service checks it against.
    #[sqlx(try_from = "Sha256Bytes")]
    pub sha256: [u8; 32],
}

impl Catalog {
    /// The upload in parts of that id.
    pub async fn multipart(&self, id: MultipartId) -> Result<Option<Multipart>> {
        let row = sqlx::query_as(
            "SELECT id, nar_hash, compressor, identity, part_size, key, upload_id, state, object_id, turn_until, nar_size \
             FROM multiparts WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&self.reader)
        .await?;
        Ok(row)
    }

    /// The newest upload of the same contents by the same compressor and identity that
    /// can be gone on with: an unfinished one, or one whose object is in the bucket.
    pub async fn resumable_multipart(
        &self,
        nar_hash: NarHash,
        nar_size: i64,
        compressor: &str,
        identity: &str,
        part_size: i64,
    ) -> Result<Option<Multipart>> {
        let row = in_clause::query_as(self.backend, format!("SELECT m.id, m.nar_hash, m.compressor, m.identity, m.part_size, m.key, m.upload_id, m.state, \
             m.object_id, m.turn_until, m.nar_size FROM multiparts m LEFT JOIN objects o ON o.id = m.object_id \
             WHERE m.nar_hash = $1 AND (m.state = {MULTIPART_OPEN} OR (m.state = {MULTIPART_COMPLETED} AND o.state = {OBJECT_PRESENT})) AND m.compressor = $2 \
             AND m.identity = $3 AND m.part_size = $4 AND m.nar_size = $5 ORDER BY m.state DESC, m.id DESC LIMIT 1"), true)
        .bind(nar_hash.as_bytes().to_vec())
        .bind(compressor.to_owned())
        .bind(identity.to_owned())
        .bind(part_size)
        .bind(nar_size)
        .fetch_optional(&self.reader)
        .await?;
        Ok(row)
    }

    /// The parts that were announced, by number.
    pub async fn parts(&self, multipart_id: MultipartId) -> Result<HashMap<i64, PartRow>> {
        let rows: Vec<PartRow> =
            sqlx::query_as("SELECT number, size, sha256 FROM multipart_parts WHERE multipart_id = $1")
                .bind(multipart_id)
                .fetch_all(&self.reader)
                .await?;
        Ok(rows.into_iter().map(|part| (part.number, part)).collect())
    }

    /// Keeps a turn for so many seconds from now; false when it is not this one's any more.
    pub async fn renew_turn(&self, multipart_id: MultipartId, turn: &str, seconds: i64) -> Result<bool> {
        self.set_turn(multipart_id, turn, now() + seconds).await
    }

    /// Lets another request try; false when the turn was over already.
    pub async fn give_back_turn(&self, multipart_id: MultipartId, turn: &str) -> Result<bool> {
        self.set_turn(multipart_id, turn, 0).await
    }

    async fn set_turn(&self, multipart_id: MultipartId, turn: &str, until: i64) -> Result<bool> {
        let done =
            in_clause::query(self.backend, format!("UPDATE multiparts SET turn_until = $1 WHERE id = $2 AND state = {MULTIPART_OPEN} AND turn = $3"), true)
                .bind(until)
                .bind(multipart_id)
                .bind(turn.to_owned())
                .execute(&self.writer)
                .await?;
        Ok(done.rows_affected() == 1)
    }
}

impl WriteTx {
    /// Records an upload in parts that the service has begun, and returns its id.
    pub async fn add_multipart(&mut self, new: &Multipart) -> Result<MultipartId> {
        Ok(sqlx::query_scalar(
            "INSERT INTO multiparts (nar_hash, nar_size, compressor, identity, part_size, key, upload_id, \
             created_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) RETURNING id",
        )
        .bind(new.nar_hash.as_bytes().to_vec())
        .bind(new.nar_size)
        .bind(new.compressor.clone())
        .bind(new.identity.clone())
        .bind(new.part_size)
        .bind(new.key.clone())
        .bind(new.upload_id.clone())
        .bind(now())
        .fetch_one(&mut *self.tx)
        .await?)
    }

    /// Gives up the uploads in parts of the contents of another one, by the same identity and compressor, that nobody
    /// went on with since a time.
    pub async fn give_up_idle_multiparts(&mut self, like: &Multipart, idle_since: i64) -> Result<()> {
        let text = format!(
            "UPDATE multiparts SET state = {MULTIPART_GIVEN_UP} WHERE nar_hash = $1 AND state = {MULTIPART_OPEN} AND compressor = $2 AND identity = $3 \
             AND used_at <= $4 AND {}",
            short_leases::over("turn_until", "$5")
        );
        in_clause::query(self.backend, text, true)
            .bind(like.nar_hash.as_bytes().to_vec())
            .bind(like.compressor.clone())
            .bind(like.identity.clone())
            .bind(idle_since)
            .bind(now())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// How many uploads in parts an identity has begun and not ended, and the bytes of the NARs that they hold.
    pub async fn unfinished_multiparts(&mut self, identity: &str) -> Result<(u64, u64)> {
        let (number, bytes): (i64, i64) = in_clause::query_as(
            self.backend,
            format!(
                "SELECT COUNT(*), CAST(COALESCE(SUM(nar_size), 0) AS BIGINT) FROM multiparts \
             WHERE identity = $1 AND state = {MULTIPART_OPEN}"
            ),
            true,
        )
        .bind(identity.to_owned())
        .fetch_one(&mut *self.tx)
        .await?;
        Ok((number.unsigned_abs(), bytes.unsigned_abs()))
    }

    /// Announces parts, which have at most `most` bytes with those announced before. While a request makes one object
    /// of the parts, no others join them.
    pub async fn announce_parts(
        &mut self,
        multipart_id: MultipartId,
        parts: &[PartRow],
        most: u64,
    ) -> Result<Announced> {
        let upload: Option<(MultipartState, i64)> =
            sqlx::query_as("SELECT state, turn_until FROM multiparts WHERE id = $1")
                .bind(multipart_id)
                .fetch_optional(&mut *self.tx)
                .await?;
        let Some((state, turn_until)) = upload else {
            return Ok(Announced::Closed);
        };
        let rows: Vec<PartRow> =
            sqlx::query_as("SELECT number, size, sha256 FROM multipart_parts WHERE multipart_id = $1")
                .bind(multipart_id)
                .fetch_all(&mut *self.tx)
                .await?;
        let known: HashMap<i64, PartRow> = rows.into_iter().map(|part| (part.number, part)).collect();
        let mut new = Vec::new();
        for part in parts {
            match known.get(&part.number) {
                None => new.push(part),
                Some(found) if found == part => {}
                Some(_) => return Ok(Announced::Other(part.number)),
            }
        }
        if state != MultipartState::Open || (short_leases::is_held(turn_until) && !new.is_empty()) {
            return Ok(Announced::Closed);
        }
        let bytes = |parts: &mut dyn Iterator<Item = &PartRow>| -> u64 {
            parts.map(|part| part.size.unsigned_abs()).sum()
        };
        let added = bytes(&mut new.iter().copied());
        if added > 0 && added.saturating_add(bytes(&mut known.values())) > most {
            return Ok(Announced::TooLarge);
        }
        for chunk in new.chunks(ROWS) {
            let text = format!(
                "INSERT INTO multipart_parts (multipart_id, number, size, sha256) VALUES {}",
                in_clause::values(chunk.len(), 4)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for part in chunk {
                query = query
                    .bind(multipart_id)
                    .bind(part.number)
                    .bind(part.size)
                    .bind(part.sha256.to_vec());
            }
            query.execute(&mut *self.tx).await?;
        }
        sqlx::query("UPDATE multiparts SET used_at = $1 WHERE id = $2")
            .bind(now())
            .bind(multipart_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(Announced::Taken(added))
    }

    /// Takes the turn to make one object of the parts, for so many seconds; false when
    /// another request has it, or the upload has ended. A turn that was not kept is over.
    pub async fn take_turn(&mut self, multipart_id: MultipartId, turn: &str, seconds: i64) -> Result<bool> {
        let now = now();
        let text = format!(
            "UPDATE multiparts SET turn = $1, turn_until = $2, used_at = $3 WHERE id = $4 AND state = {MULTIPART_OPEN} AND {}",
            short_leases::over("turn_until", "$3")
        );
        let done = in_clause::query(self.backend, text, true)
            .bind(turn.to_owned())
            .bind(now + seconds)
            .bind(now)
            .bind(multipart_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends an upload in parts as the request that has its turn: it became an object, or
    /// nobody may go on with it. False, and nothing changes, when the turn is another's.
    pub async fn end_turn(
        &mut self,
        multipart_id: MultipartId,
        turn: &str,
        object_id: Option<ObjectId>,
    ) -> Result<bool> {
        let done = in_clause::query(
            self.backend,
            format!(
                "UPDATE multiparts SET state = $1, object_id = $2, used_at = $3 \
             WHERE id = $4 AND state = {MULTIPART_OPEN} AND turn = $5"
            ),
            true,
        )
        .bind(match object_id {
            Some(_) => MultipartState::Completed,
            None => MultipartState::GivenUp,
        })
        .bind(object_id)
        .bind(now())
        .bind(multipart_id)
        .bind(turn.to_owned())
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Uploads in parts that nobody went on with since a time, in the order of their ids,
    /// after one.
    pub async fn stale_multiparts(
        &mut self,
        before: i64,
        after: MultipartId,
        limit: i64,
    ) -> Result<Vec<Multipart>> {
        let rows = sqlx::query_as(
            "SELECT id, nar_hash, compressor, identity, part_size, key, upload_id, state, object_id, turn_until, nar_size \
             FROM multiparts WHERE used_at <= $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(before)
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }

    /// The contents larger than that which pushes under way have to upload.
    pub async fn contents_under_way(&mut self, larger_than: i64) -> Result<HashSet<Vec<u8>>> {
        let rows = in_clause::query_scalar(
            self.backend,
            format!("SELECT DISTINCT nar_hash FROM push_paths WHERE kind = {CLAIM_NEEDED} AND nar_size > $1"),
            true,
        )
        .bind(larger_than)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows.into_iter().collect())
    }

    /// Forgets uploads in parts of which the bucket has nothing.
    pub async fn forget_multiparts(&mut self, ids: &[MultipartId]) -> Result<()> {
        self.on_ids(ids, |ids| {
            format!("DELETE FROM multiparts WHERE state = {MULTIPART_GIVEN_UP} AND id IN ({ids})")
        })
        .await?;
        Ok(())
    }

    /// Gives up an upload in parts: nobody may go on with it.
    pub async fn give_up_multipart(&mut self, multipart_id: MultipartId) -> Result<()> {
        in_clause::query(self.backend, format!("UPDATE multiparts SET state = {MULTIPART_GIVEN_UP}, object_id = NULL, used_at = $1 WHERE id = $2"), true)
            .bind(now())
            .bind(multipart_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
