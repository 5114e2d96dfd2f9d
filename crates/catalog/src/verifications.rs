//! What the server found when it read NARs.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt as _;
use niks3_base::nar_contents::{ContentHash, Flaw, Occurrences, PackedListing, Verdict, VerifiedNar};
use niks3_base::signing::union_of_names;
use niks3_nix::hash::NarHash;
use niks3_nix::store_path::{StorePath, StorePathHash};
use sqlx::Row as _;

use super::columns::PathName;
use super::in_clause::{self, BindAll as _, ROWS};
use super::objects::{OBJECT_DELETING, OBJECT_PENDING, OBJECT_PRESENT, is_read};
use super::path_columns::{self, ABSENT, PRESENT, PUBLISHING};
use super::publish::{self, publishable_columns};
use super::states::{
    CLAIM_EXTERNAL, MULTIPART_COMPLETED, MULTIPART_GIVEN_UP, PUSH_ABORTED, PUSH_COMMITTING, PUSH_OPEN,
};
use super::{Catalog, CatalogError, ObjectId, PathId, Publishable, PushId, Result, WriteTx, now};

/// Results that one statement writes: their listings may be large.
const RESULTS: usize = 100;

/// A NAR that is visible and that nobody has read, or that is not what a path says.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct DoubtfulNar {
    /// Id of its row.
    pub id: ObjectId,
    /// Its key.
    pub key: String,
}

/// A listing that the database has.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct KeptListing {
    /// JSON in zstd.
    pub packed: Vec<u8>,
    /// Bytes of the JSON.
    pub size: i64,
    /// Unix time at which the NAR was read.
    pub verified_at: i64,
}

/// A result to write down.
#[derive(Debug, Clone)]
pub struct NewVerification {
    /// Id of the object that was read.
    pub object_id: ObjectId,
    /// What it is.
    pub verdict: Verdict,
    /// The listing of a NAR.
    pub listing: PackedListing,
}

impl Catalog {
    /// What is known of some objects, by id; nothing of those that nobody has read.
    pub async fn verdicts(&self, ids: &[ObjectId]) -> Result<HashMap<ObjectId, Verdict>> {
        let mut verdicts = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "SELECT object_id, nar_hash, nar_size, flaw, content_hashes, occurrences FROM verifications WHERE object_id IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query =
                in_clause::query(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            for row in query.fetch_all(&self.reader).await? {
                let flaw: String = row.try_get("flaw")?;
                let size = row.try_get::<i64, _>("nar_size")?.unsigned_abs();
                let verdict = match flaw.is_empty() {
                    true => Ok(VerifiedNar {
                        nar_hash: path_columns::nar_hash(&row.try_get::<Vec<u8>, _>("nar_hash")?)?,
                        nar_size: size,
                        content_hashes: content_hashes(&row.try_get::<String, _>("content_hashes")?)?,
                        occurrences: occurrences(&row.try_get::<String, _>("occurrences")?)?,
                    }),
                    false => Err(Flaw::from_text(&flaw, size)),
                };
                verdicts.insert(row.try_get("object_id")?, verdict);
            }
        }
        Ok(verdicts)
    }

    /// The listings, compressed, that the server made of some NARs and that wait to be published, by key.
    pub async fn waiting_listings(&self, keys: &[String]) -> Result<HashMap<String, Vec<u8>>> {
        let mut listings = HashMap::with_capacity(keys.len());
        for chunk in keys.chunks(ROWS) {
            let text = format!(
                "SELECT o.key, v.listing FROM objects o JOIN verifications v ON v.object_id = o.id WHERE o.key IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, false).bind_all(chunk.iter().cloned());
            let rows: Vec<(String, Vec<u8>)> = query.fetch_all(&self.reader).await?;
            for (key, listing) in rows {
                if !listing.is_empty() {
                    listings.insert(key, listing);
                }
            }
        }
        Ok(listings)
    }

    /// Those of some NARs, by key, whose listings the database has.
    pub async fn listed_nars(&self, keys: &[String]) -> Result<HashSet<String>> {
        let empty = self.backend.empty_bytes();
        let mut listed = HashSet::with_capacity(keys.len());
        for chunk in keys.chunks(ROWS) {
            let text = format!(
                "SELECT o.key FROM objects o JOIN verifications v ON v.object_id = o.id \
                 WHERE v.listing <> {empty} AND o.key IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().cloned());
            listed.extend(query.fetch_all(&self.reader).await?);
        }
        Ok(listed)
    }

    /// Of some committed paths the bytes of the NAR, and whether the database has its listing.
    pub async fn listed_paths(&self, paths: &[StorePath]) -> Result<HashMap<StorePath, (i64, bool)>> {
        let empty = self.backend.empty_bytes();
        let mut listed = HashMap::with_capacity(paths.len());
        for chunk in paths.chunks(ROWS) {
            let text = format!(
                "SELECT p.name, p.nar_size, CASE WHEN v.listing <> {empty} THEN 1 ELSE 0 END FROM paths p \
                 LEFT JOIN verifications v ON v.object_id = p.object_id AND v.flaw = '' AND v.nar_hash = p.nar_hash \
                 WHERE p.state IN ({PUBLISHING}, {PRESENT}) AND p.hash IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().map(|path| path.hash_part().to_owned()));
            let rows: Vec<(PathName, i64, i64)> = query.fetch_all(&self.reader).await?;
            listed.extend(
                rows.into_iter()
                    .map(|(name, size, kept)| (name.into(), (size, kept != 0))),
            );
        }
        Ok(listed)
    }

    /// The listing of a path that readers see, if the database has it.
    pub async fn kept_listing(&self, hash: &StorePathHash) -> Result<Option<KeptListing>> {
        let empty = self.backend.empty_bytes();
        let text = format!(
            "SELECT v.listing AS packed, v.listing_size AS size, v.verified_at FROM paths p \
             JOIN verifications v ON v.object_id = p.object_id \
             WHERE p.hash = $1 AND p.state = {PRESENT} AND v.flaw = '' AND v.nar_hash = p.nar_hash AND v.listing <> {empty}"
        );
        let listing = in_clause::query_as(self.backend, text, true)
            .bind(hash.as_str().to_owned())
            .fetch_optional(&self.reader)
            .await?;
        Ok(listing)
    }

    /// Another path that is visible with the same NAR: its listing is the same.
    pub async fn path_with_same_nar(&self, path_id: PathId, key: &str) -> Result<Option<StorePath>> {
        let text = format!(
            "SELECT p.name FROM objects o JOIN paths p ON p.object_id = o.id \
             WHERE o.key = $1 AND p.id <> $2 AND p.state = {PRESENT} LIMIT 1"
        );
        let name: Option<PathName> = in_clause::query_scalar(self.backend, text, true)
            .bind(key.to_owned())
            .bind(path_id)
            .fetch_optional(&self.reader)
            .await?;
        Ok(name.map(StorePath::from))
    }

    /// Committed paths that a push claims with the same contents, whose NAR nobody has read, or found to be something else, and that not all keys of these
    /// names have signed; with the ids of the NARs.
    pub async fn unread_for_signing(
        &self,
        push_id: PushId,
        names: &str,
    ) -> Result<Vec<(ObjectId, Publishable)>> {
        let columns = publishable_columns("p", "p");
        let text = format!(
            "SELECT {columns}, o.id AS object_id, p.signed_by AS signed_by FROM push_paths c JOIN paths p ON p.id = c.path_id \
             JOIN objects o ON o.id = p.object_id WHERE c.push_id = $1 AND c.kind <> {CLAIM_EXTERNAL} AND p.state IN ({PUBLISHING}, {PRESENT}) \
             AND c.nar_hash = p.nar_hash AND c.nar_size = p.nar_size AND c.refs = p.refs AND p.signed_by <> $2 \
             AND NOT {}",
            is_read("o.id", "p")
        );
        let mut unread = Vec::new();
        let mut rows = in_clause::query(self.backend, text, true)
            .bind(push_id)
            .bind(names.to_owned())
            .fetch(&self.reader);
        while let Some(row) = rows.try_next().await? {
            let signed_by: String = row.try_get("signed_by")?;
            if union_of_names(&signed_by, names) != union_of_names(&signed_by, "") {
                unread.push((row.try_get("object_id")?, publish::publishable(&row)?));
            }
        }
        Ok(unread)
    }

    /// NARs that visible paths have and that nobody has read, or that are not what such a path says, in the order of
    /// their ids, after one.
    pub async fn doubtful_nars(&self, after: ObjectId, limit: i64) -> Result<Vec<DoubtfulNar>> {
        let text = format!(
            "SELECT o.id, o.key FROM objects o JOIN paths p ON p.object_id = o.id \
             LEFT JOIN verifications v ON v.object_id = o.id \
             WHERE o.id > $1 AND o.state = {OBJECT_PRESENT} AND p.state IN ({PUBLISHING}, {PRESENT}) AND p.object_id <> 0 \
             AND (v.object_id IS NULL OR v.flaw <> '' OR v.nar_hash <> p.nar_hash OR v.nar_size <> p.nar_size) \
             GROUP BY o.id, o.key ORDER BY o.id LIMIT $2"
        );
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// What some visible paths say of the NAR that they have; those of an object, in the order of their ids, after one.
    pub async fn descriptions(
        &self,
        object_id: ObjectId,
        after: PathId,
        limit: i64,
    ) -> Result<Vec<Publishable>> {
        let columns = publishable_columns("p", "p");
        let text = format!(
            "SELECT {columns} FROM paths p JOIN objects o ON o.id = p.object_id \
             WHERE p.object_id = $1 AND p.id > $2 AND p.state IN ({PUBLISHING}, {PRESENT}) ORDER BY p.id LIMIT $3"
        );
        let rows = in_clause::query(self.backend, text, true)
            .bind(object_id)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(publish::publishable).collect()
    }
}

fn content_hashes(text: &str) -> Result<Vec<ContentHash>> {
    text.lines()
        .map(|line| line.parse().map_err(CatalogError::Corrupt))
        .collect()
}

/// Hash parts, one a line, with a sign before each: + for one that occurs.
fn occurrences(text: &str) -> Result<Occurrences> {
    text.lines()
        .map(|line| {
            let corrupt = || CatalogError::Corrupt(format!("occurrence {line:?}"));
            let (sign, hash) = line.split_at_checked(1).ok_or_else(corrupt)?;
            Ok((hash.parse().map_err(|_| corrupt())?, sign == "+"))
        })
        .collect()
}

fn occurrences_text(verdict: &Verdict) -> String {
    let Ok(nar) = verdict else { return String::new() };
    let line = |(hash, found): (&StorePathHash, &bool)| {
        format!("{}{}", if *found { '+' } else { '-' }, hash.as_str())
    };
    let lines: Vec<String> = nar.occurrences.iter().map(line).collect();
    lines.join("\n")
}

fn hash_bytes(hash: Option<&NarHash>) -> Vec<u8> {
    hash.map(|hash| hash.as_bytes().to_vec()).unwrap_or_default()
}

impl WriteTx {
    /// Writes down what some objects are. What has been deleted meanwhile is left out.
    pub async fn add_verdicts(&mut self, new: &[NewVerification]) -> Result<()> {
        let verified_at = now();
        let empty = self.backend.empty_bytes();
        for chunk in new.chunks(RESULTS) {
            let text = format!(
                "INSERT INTO verifications (object_id, nar_hash, nar_size, flaw, content_hashes, listing, listing_size, verified_at, occurrences) \
                 SELECT o.id, n.column2, n.column3, n.column4, n.column5, n.column6, n.column7, n.column8, n.column9 FROM (VALUES {}) AS n \
                 JOIN objects o ON o.id = n.column1 WHERE true ON CONFLICT (object_id) DO UPDATE SET \
                 nar_hash = excluded.nar_hash, nar_size = excluded.nar_size, flaw = excluded.flaw, \
                 content_hashes = excluded.content_hashes, listing = CASE WHEN excluded.listing = {empty} \
                 AND excluded.nar_hash = verifications.nar_hash THEN verifications.listing ELSE excluded.listing END, \
                 listing_size = CASE WHEN excluded.listing = {empty} AND excluded.nar_hash = verifications.nar_hash \
                 THEN verifications.listing_size ELSE excluded.listing_size END, \
                 verified_at = excluded.verified_at, occurrences = excluded.occurrences",
                in_clause::values(chunk.len(), 9)
            );
            let mut query = in_clause::query(self.backend, text, false);
            for NewVerification {
                object_id,
                verdict,
                listing,
            } in chunk
            {
                let (hash, size, flaw, hashes) = match verdict {
                    Ok(nar) => {
                        let hashes: Vec<String> =
                            nar.content_hashes.iter().map(ToString::to_string).collect();
                        (
                            Some(&nar.nar_hash),
                            nar.nar_size,
                            String::new(),
                            hashes.join("\n"),
                        )
                    }
                    Err(flaw) => (None, flaw.most(), flaw.to_text(), String::new()),
                };
                query = query
                    .bind(*object_id)
                    .bind(hash_bytes(hash))
                    .bind(i64::try_from(size)?)
                    .bind(flaw)
                    .bind(hashes)
                    .bind(listing.packed.clone())
                    .bind(i64::try_from(listing.size)?)
                    .bind(verified_at)
                    .bind(occurrences_text(verdict));
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Forgets the listings of the NARs of some paths, which have been published, but for NARs of fewer bytes than that.
    pub async fn listings_published(&mut self, path_ids: &[PathId], kept_below: i64) -> Result<()> {
        let empty = self.backend.empty_bytes();
        self.on_ids(path_ids, |ids| {
            format!(
                "UPDATE verifications SET listing = {empty} WHERE listing <> {empty} AND nar_size >= {kept_below} AND object_id IN \
                 (SELECT object_id FROM paths WHERE id IN ({ids}))"
            )
        })
        .await?;
        Ok(())
    }

    /// Ends a push whose NARs are not what it said, which its commit answers from then on, and lets go of what it claimed. Those of the objects that no
    /// path and no other push needs begin to be deleted; their keys. What was found of them is forgotten.
    pub async fn reject_uploads(
        &mut self,
        push_id: PushId,
        why: &str,
        objects: &[ObjectId],
    ) -> Result<Vec<String>> {
        self.abort_push(push_id).await?;
        in_clause::query(
            self.backend,
            format!("UPDATE pushes SET result = $1 WHERE id = $2 AND state = {PUSH_ABORTED}"),
            true,
        )
        .bind(why.to_owned())
        .bind(push_id)
        .execute(&mut *self.tx)
        .await?;
        let mut deleting = Vec::new();
        for id in objects {
            // Whoever claims the same contents must not be led to the same bytes again.
            in_clause::query(self.backend, format!("UPDATE multiparts SET state = {MULTIPART_GIVEN_UP} WHERE object_id = $1 AND state = {MULTIPART_COMPLETED}"), true)
                .bind(*id)
                .execute(&mut *self.tx)
                .await?;
            let text = format!(
                "UPDATE objects SET state = {OBJECT_DELETING}, fence = 0 WHERE id = $1 \
                 AND state IN ({OBJECT_PENDING}, {OBJECT_PRESENT}) \
                 AND NOT EXISTS (SELECT 1 FROM paths p WHERE p.object_id = objects.id AND p.state <> {ABSENT}) \
                 AND NOT EXISTS (SELECT 1 FROM replacements r WHERE r.object_id = objects.id) \
                 AND NOT EXISTS (SELECT 1 FROM push_paths c JOIN pushes q ON q.id = c.push_id \
                 WHERE c.object_id = objects.id AND q.state IN ({PUSH_OPEN}, {PUSH_COMMITTING})) RETURNING key"
            );
            let key: Option<String> = in_clause::query_scalar(self.backend, text, true)
                .bind(*id)
                .fetch_optional(&mut *self.tx)
                .await?;
            if let Some(key) = key {
                deleting.push(key);
                self.forget_verdict(*id).await?;
            }
        }
        Ok(deleting)
    }

    /// Forgets what was found of an object, which has to be read again.
    pub(crate) async fn forget_verdict(&mut self, object_id: ObjectId) -> Result<()> {
        sqlx::query("DELETE FROM verifications WHERE object_id = $1")
            .bind(object_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
