//! Pushes: who opened them, how long they live, how they ended.

use niks3_base::signing::KeyChoice;
use niks3_nix::hash::NarHash;
use niks3_nix::store_path::StorePath;

use super::columns::{Flag, Keys, NarHashBytes, OptionalText, PathName, codes};
use super::path_columns::ABSENT;
use super::slices::SLICE_MARKS;
use super::states::{CLAIM_NEEDED, PUSH_ABORTED, PUSH_COMMITTED, PUSH_COMMITTING, PUSH_OPEN};
use super::{Catalog, PathId, PushId, Result, RunId, WriteTx, in_clause, now};

/// Where a push stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushState {
    /// Paths can be claimed and uploaded.
    Open,
    /// Its paths are decided and being published; only committing again is possible.
    Committing,
    /// Done.
    Committed,
    /// Given up by its client.
    Aborted,
    /// Its lease ran out, and garbage collection let go of what it claimed.
    Expired,
}

impl PushState {
    /// It has not ended.
    pub(super) fn is_live(self) -> bool {
        matches!(self, Self::Open | Self::Committing)
    }
}

codes!(
    PushState,
    "push state",
    Open = 0,
    Committing = 1,
    Committed = 2,
    Aborted = 3,
    Expired = 4
);

/// What is needed to open a push.
#[derive(Debug)]
pub struct NewPush {
    /// The name that the client gets for it.
    pub token: String,
    /// Who may continue it.
    pub identity: String,
    /// A pin to make of its root when it is committed.
    pub pin: Option<String>,
    /// Look into the bucket instead of believing the database.
    pub verify: bool,
    /// Seconds until it is given up unless renewed.
    pub lease: i64,
    /// Id of the run that pushes.
    pub run_id: Option<RunId>,
    /// Which keys sign what it brings.
    pub keys: KeyChoice,
    /// What it uploads becomes visible before the server has read it.
    pub exempt: bool,
}

/// A push.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Push {
    /// Id in the database.
    pub id: PushId,
    /// The name that the client knows it by.
    pub token: String,
    /// Who opened it.
    pub identity: String,
    /// Where it stands.
    pub state: PushState,
    /// The pin to make of its root.
    #[sqlx(try_from = "OptionalText")]
    pub pin: Option<String>,
    /// Look into the bucket instead of believing the database.
    #[sqlx(try_from = "Flag")]
    pub verify: bool,
    /// Counts what was claimed and announced.
    pub revision: i64,
    /// Which keys sign what it brings.
    #[sqlx(rename = "signing_keys", try_from = "Keys")]
    pub keys: KeyChoice,
    /// What its commit answered, as JSON.
    pub result: String,
    /// Unix time at which it is given up.
    pub lease_until: i64,
    /// What it uploads becomes visible before the server has read it.
    #[sqlx(try_from = "Flag")]
    pub exempt: bool,
}

impl Push {
    /// Whether its lease has run out.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.state.is_live() && self.lease_until <= now()
    }
}

const SELECT: &str = "SELECT id, token, identity, state, pin, verify, result, lease_until, revision, signing_keys, exempt FROM pushes";

impl Catalog {
    /// The push of that name.
    pub async fn push(&self, token: &str) -> Result<Option<Push>> {
        let row = in_clause::query_as(self.backend, format!("{SELECT} WHERE token = $1"), true)
            .bind(token.to_owned())
            .fetch_optional(&self.reader)
            .await?;
        Ok(row)
    }

    /// Renews the lease of a push that still has one; false when it had run out. One that is
    /// committed needs none, so that changes nothing.
    pub async fn renew_lease(&self, push_id: PushId, seconds: i64) -> Result<bool> {
        let now = now();
        let done = in_clause::query(self.backend, format!("UPDATE pushes SET lease_until = CASE WHEN state = {PUSH_COMMITTED} THEN lease_until ELSE $1 END \
             WHERE id = $2 AND (state = {PUSH_COMMITTED} OR (state <= {PUSH_COMMITTING} AND lease_until > $3))"), true)
        .bind(now + seconds)
        .bind(push_id)
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The pushes whose commit has begun and not ended.
    pub async fn committing_pushes(&self) -> Result<Vec<Push>> {
        let rows = in_clause::query_as(
            self.backend,
            format!("{SELECT} WHERE state = {PUSH_COMMITTING}"),
            true,
        )
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }
}

/// A path that a push claims, has uploaded and has not committed.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct UncommittedClaim {
    /// Id of the path.
    #[sqlx(rename = "id")]
    pub path_id: PathId,
    /// The path.
    #[sqlx(rename = "name", try_from = "PathName")]
    pub path: StorePath,
    /// SHA-256 of its NAR as the push declared it.
    #[sqlx(try_from = "NarHashBytes")]
    pub nar_hash: NarHash,
}

impl Catalog {
    /// The pushes whose lease has run out, in the order in which they were opened: open ones by now, those being
    /// committed by `committing_before`.
    pub async fn pushes_without_lease(&self, committing_before: i64) -> Result<Vec<Push>> {
        let text = format!(
            "{SELECT} WHERE (state = {PUSH_OPEN} AND lease_until <= $1) \
             OR (state = {PUSH_COMMITTING} AND lease_until <= $2) ORDER BY id"
        );
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(now())
            .bind(committing_before)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// Paths that a push has uploaded and that nobody has committed, in the order of their ids, after one.
    pub async fn uncommitted_claims(
        &self,
        push_id: PushId,
        after: PathId,
        limit: i64,
    ) -> Result<Vec<UncommittedClaim>> {
        let text = format!(
            "SELECT p.id, p.name, c.nar_hash FROM push_paths c JOIN paths p ON p.id = c.path_id \
             WHERE c.push_id = $1 AND c.path_id > $2 AND c.kind = {CLAIM_NEEDED} AND c.object_id <> 0 AND p.state = {ABSENT} \
             ORDER BY c.path_id LIMIT $3"
        );
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(push_id)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }
}

/// What a push names, and by what.
const CLAIMS: [(&str, &str); 4] = [
    ("push_paths", "path_id"),
    ("push_roots", "path_id"),
    ("push_logs", "drv"),
    ("push_realisations", "key"),
];

impl Catalog {
    /// Lets go of what a push that has ended claims, slice by slice. What one that is over still names
    /// keeps nothing any more; the rest goes with the next garbage collection if this is cut off.
    pub async fn release_push(&self, push_id: PushId) -> Result<()> {
        let limit = i64::try_from(SLICE_MARKS)?;
        loop {
            let mut tx = self.write().await?;
            let more = tx.release_some(push_id, limit).await?;
            tx.commit().await?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Ids of pushes that have ended and still name something.
    pub async fn unreleased_pushes(&self) -> Result<Vec<PushId>> {
        let named =
            CLAIMS.map(|(table, _)| format!("EXISTS (SELECT 1 FROM {table} c WHERE c.push_id = q.id)"));
        let text = format!(
            "SELECT q.id FROM pushes q WHERE q.state >= {PUSH_COMMITTED} AND ({})",
            named.join(" OR ")
        );
        let rows = in_clause::query_scalar(self.backend, text, true)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }
}

impl WriteTx {
    /// Gives a push that has not ended a lease of so many seconds, though it had run out.
    pub async fn begin_lease(&mut self, push_id: PushId, seconds: i64) -> Result<()> {
        in_clause::query(self.backend, format!("UPDATE pushes SET lease_until = $1 WHERE id = $2 AND state IN ({PUSH_OPEN}, {PUSH_COMMITTING})"), true)
            .bind(now() + seconds)
            .bind(push_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Has a push make no pin.
    pub async fn forget_push_pin(&mut self, push_id: PushId) -> Result<()> {
        sqlx::query("UPDATE pushes SET pin = '' WHERE id = $1")
            .bind(push_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Opens a push and returns its id.
    pub async fn open_push(&mut self, new: &NewPush) -> Result<PushId> {
        let now = now();
        Ok(sqlx::query_scalar(
            "INSERT INTO pushes (token, identity, pin, verify, created_at, lease_until, run_id, signing_keys, exempt) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        )
        .bind(new.token.clone())
        .bind(new.identity.clone())
        .bind(new.pin.clone().unwrap_or_default())
        .bind(i64::from(new.verify))
        .bind(now)
        .bind(now + new.lease)
        .bind(new.run_id)
        .bind(new.keys.to_text())
        .bind(i64::from(new.exempt))
        .fetch_one(&mut *self.tx).await?)
    }

    /// How many pushes an identity has under way.
    pub async fn pushes_under_way(&mut self, identity: &str) -> Result<u64> {
        let number: i64 = in_clause::query_scalar(self.backend, format!("SELECT COUNT(*) FROM pushes WHERE state IN ({PUSH_OPEN}, {PUSH_COMMITTING}) AND lease_until > $1 AND identity = $2"), true)
        .bind(now())
        .bind(identity.to_owned())
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(number.unsigned_abs())
    }

    /// Bytes that a push may bring, and that all pushes of its identity may: of the NARs that it claims, or of
    /// everything that it has got upload URLs for, whichever is more.
    pub async fn claimed_bytes(&mut self, push: &Push) -> Result<(u64, u64)> {
        let (own, all): (i64, i64) = in_clause::query_as(self.backend, format!("SELECT CAST(COALESCE(SUM(CASE WHEN u.id = $1 THEN u.bytes ELSE 0 END), 0) AS BIGINT), \
             CAST(COALESCE(SUM(u.bytes), 0) AS BIGINT) FROM (SELECT p.id, \
             CASE WHEN p.announced > COALESCE(SUM(c.nar_size), 0) THEN p.announced ELSE COALESCE(SUM(c.nar_size), 0) END AS bytes \
             FROM pushes p LEFT JOIN push_paths c ON c.push_id = p.id AND c.kind = {CLAIM_NEEDED} \
             WHERE p.state IN ({PUSH_OPEN}, {PUSH_COMMITTING}) AND p.lease_until > $2 AND p.identity = $3 GROUP BY p.id, p.announced) u"), true)
        .bind(push.id)
        .bind(now())
        .bind(push.identity.clone())
        .fetch_one(&mut *self.tx)
        .await?;
        Ok((own.unsigned_abs(), all.unsigned_abs()))
    }

    /// References of the paths that a push claims, and that all pushes of its identity claim.
    pub async fn claimed_references(&mut self, push: &Push) -> Result<(u64, u64)> {
        let (own, all): (i64, i64) = in_clause::query_as(self.backend, format!("SELECT CAST(COALESCE(SUM(CASE WHEN id = $1 THEN claimed_references ELSE 0 END), 0) AS BIGINT), \
             CAST(COALESCE(SUM(claimed_references), 0) AS BIGINT) FROM pushes \
             WHERE state IN ({PUSH_OPEN}, {PUSH_COMMITTING}) AND lease_until > $2 AND identity = $3"), true)
        .bind(push.id)
        .bind(now())
        .bind(push.identity.clone())
        .fetch_one(&mut *self.tx)
        .await?;
        Ok((own.unsigned_abs(), all.unsigned_abs()))
    }

    /// Counts bytes that a push has got upload URLs for.
    pub async fn count_announced(&mut self, push_id: PushId, bytes: u64) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        sqlx::query("UPDATE pushes SET announced = announced + $1 WHERE id = $2")
            .bind(i64::try_from(bytes)?)
            .bind(push_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Whether what a push claims is kept from being collected: it is open, or being committed.
    pub(super) async fn keeps_claims(&mut self, push_id: PushId) -> Result<bool> {
        let row = in_clause::query(
            self.backend,
            format!("SELECT 1 FROM pushes WHERE id = $1 AND state IN ({PUSH_OPEN}, {PUSH_COMMITTING})"),
            true,
        )
        .bind(push_id)
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(row.is_some())
    }

    /// The push of that name, as it stands inside the transaction.
    pub async fn push(&mut self, token: &str) -> Result<Option<Push>> {
        let row = in_clause::query_as(self.backend, format!("{SELECT} WHERE token = $1"), true)
            .bind(token.to_owned())
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(row)
    }

    /// Admits a change to what a push claims or announces; false when it no longer takes
    /// any. A commit that had looked before the change has to look again.
    pub async fn change_push(&mut self, push_id: PushId) -> Result<bool> {
        let changed: Option<i64> = in_clause::query_scalar(self.backend, format!("UPDATE pushes SET revision = revision + 1 WHERE id = $1 AND state = {PUSH_OPEN} AND lease_until > $2 \
             RETURNING revision"), true)
        .bind(push_id)
        .bind(now())
        .fetch_optional(&mut *self.tx)
        .await?;
        if let Some(revision) = changed {
            self.revision = revision;
        }
        Ok(changed.is_some())
    }

    /// Gives up an open push; false when it is not open. What it claims is let go by
    /// [`Catalog::release_push`].
    pub async fn abort_push(&mut self, push_id: PushId) -> Result<bool> {
        let done = in_clause::query(
            self.backend,
            format!("UPDATE pushes SET state = {PUSH_ABORTED} WHERE id = $1 AND state = {PUSH_OPEN}"),
            true,
        )
        .bind(push_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The names of pushes under way.
    pub async fn live_tokens(&mut self) -> Result<Vec<String>> {
        let rows = in_clause::query_scalar(
            self.backend,
            format!("SELECT token FROM pushes WHERE state IN ({PUSH_OPEN}, {PUSH_COMMITTING})"),
            true,
        )
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }

    /// Deletes at most `limit` rows each of what a push that has ended claims, announced and brought;
    /// false when nothing is left.
    async fn release_some(&mut self, push_id: PushId, limit: i64) -> Result<bool> {
        let mut more = false;
        for (table, key) in CLAIMS {
            // Up to a key: a list of keys might make PostgreSQL read the whole table for each slice.
            let text = format!(
                "DELETE FROM {table} WHERE push_id = $1 AND {key} <= \
                 (SELECT {key} FROM {table} WHERE push_id = $2 ORDER BY {key} LIMIT 1 OFFSET $3)"
            );
            let deleted = in_clause::query(self.backend, text, true)
                .bind(push_id)
                .bind(push_id)
                .bind(limit - 1)
                .execute(&mut *self.tx)
                .await?;
            if deleted.rows_affected() > 0 {
                more = true;
                continue;
            }
            // Fewer are left than one slice has.
            let text = format!("DELETE FROM {table} WHERE push_id = $1");
            in_clause::query(self.backend, text, true)
                .bind(push_id)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(more)
    }
}
