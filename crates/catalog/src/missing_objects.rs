//! Recording what the bucket has lost, so that whoever needs it brings it again.

use niks3_nix::store_path::StorePath;

use super::in_clause::{self, BindAll as _, ROWS};
use super::objects::{OBJECT_DELETING, OBJECT_PENDING, OBJECT_PRESENT};
use super::path_columns::{DELETING, LISTING_LOST, PRESENT, PUBLISHING};
use super::states::{CLAIM_NEEDED, CLAIM_PRESENT, PUSH_OPEN, REALISATION_DELETING};
use super::{ObjectId, PathId, Result, WriteTx};

impl WriteTx {
    /// Records that the bucket lacks the narinfo of a committed path: the next
    /// commit that relies on it writes it again.
    pub async fn narinfo_lost(&mut self, path: &StorePath) -> Result<()> {
        let publication = self.next_publication().await?;
        sqlx::query("UPDATE paths SET state = $1, publication = $2 WHERE hash = $3 AND state = $4")
            .bind(PUBLISHING)
            .bind(publication)
            .bind(path.hash_part().to_owned())
            .bind(PRESENT)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Records that the bucket lacks the listing of a committed path, which whoever publishes
    /// the path next makes of its NAR.
    pub async fn listing_lost(&mut self, path: &StorePath) -> Result<()> {
        let publication = self.next_publication().await?;
        sqlx::query(
            "UPDATE paths SET state = $1, publication = $2, listing = $3 \
             WHERE hash = $4 AND state IN ($5, $6) AND listing = ''",
        )
        .bind(PUBLISHING)
        .bind(publication)
        .bind(LISTING_LOST)
        .bind(path.hash_part().to_owned())
        .bind(PUBLISHING)
        .bind(PRESENT)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Records that the bucket lacks the NAR of a committed path, if it is still the one of that
    /// key: the path, and all that share its NAR, have to be uploaded again.
    pub async fn mark_nar_missing(&mut self, path: &StorePath, key: &str) -> Result<()> {
        if let Some(object_id) = self.nar_of(path, key).await? {
            self.object_lost(object_id).await?;
            self.withdraw(object_id).await?;
        }
        Ok(())
    }

    /// The same of one that the bucket has, and that cannot be read: it has to go before it
    /// is uploaded again.
    pub async fn nar_corrupt(&mut self, path: &StorePath, key: &str) -> Result<()> {
        if let Some(object_id) = self.nar_of(path, key).await? {
            self.object_corrupt(object_id).await?;
            self.withdraw(object_id).await?;
        }
        Ok(())
    }

    /// Gives up a committed path alone, if its NAR is still the one of that key: it says something else of the NAR than
    /// what is in it.
    pub async fn misdescribed(&mut self, path: &StorePath, path_id: PathId, key: &str) -> Result<()> {
        match self.nar_of(path, key).await? {
            Some(_) => self.withdraw_paths(&[path_id]).await,
            None => Ok(()),
        }
    }

    /// Id of the NAR of a committed path, if it is the one of that key.
    async fn nar_of(&mut self, path: &StorePath, key: &str) -> Result<Option<ObjectId>> {
        Ok(sqlx::query_scalar(
            "SELECT o.id FROM paths p JOIN objects o ON o.id = p.object_id \
             WHERE p.hash = $1 AND p.state IN ($2, $3) AND o.key = $4",
        )
        .bind(path.hash_part().to_owned())
        .bind(PUBLISHING)
        .bind(PRESENT)
        .bind(key.to_owned())
        .fetch_optional(&mut *self.tx)
        .await?)
    }

    /// Gives up the paths whose NAR is lost: whoever pushes them next uploads it again. Their narinfos are to be deleted,
    /// which whoever needs the paths does, or `await_deletion::paths` of the crate core. Returns their ids.
    pub async fn withdraw(&mut self, object_id: ObjectId) -> Result<Vec<PathId>> {
        // A commit that has looked for the NAR before has to look again.
        in_clause::query(
            self.backend,
            format!(
                "UPDATE pushes SET revision = revision + 1 WHERE state = {PUSH_OPEN} AND id IN \
             (SELECT push_id FROM push_paths WHERE object_id = $1)"
            ),
            true,
        )
        .bind(object_id)
        .execute(&mut *self.tx)
        .await?;
        let text =
            format!("SELECT id FROM paths WHERE state IN ({PUBLISHING}, {PRESENT}) AND object_id = $1");
        let ids: Vec<PathId> = in_clause::query_scalar(self.backend, text, true)
            .bind(object_id)
            .fetch_all(&mut *self.tx)
            .await?;
        self.withdraw_paths(&ids).await?;
        Ok(ids)
    }

    /// The same for some committed paths alone, whatever else has their NARs.
    pub async fn withdraw_paths(&mut self, ids: &[PathId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.lost_paths().await?;
        let publication = self.next_publication().await?;
        for chunk in ids.chunks(ROWS) {
            let among = |first| in_clause::placeholders(first, chunk.len());
            let texts = [
                // Pushes that found them in the cache have to bring them.
                format!(
                    "UPDATE pushes SET revision = revision + 1 WHERE state = {PUSH_OPEN} AND id IN \
                     (SELECT push_id FROM push_paths WHERE kind = {CLAIM_PRESENT} AND path_id IN ({}))",
                    among(1)
                ),
                format!(
                    "UPDATE push_paths SET kind = {CLAIM_NEEDED}, revision = \
                     (SELECT q.revision FROM pushes q WHERE q.id = push_paths.push_id) \
                     WHERE kind = {CLAIM_PRESENT} AND path_id IN ({})",
                    among(1)
                ),
                format!(
                    "UPDATE realisations SET state = {REALISATION_DELETING} WHERE path_id IN ({})",
                    among(1)
                ),
            ];
            for text in texts {
                let query =
                    in_clause::query(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
                query.execute(&mut *self.tx).await?;
            }
            let text = format!(
                "UPDATE paths SET state = {DELETING}, fence = 0, publication = $1 \
                 WHERE state IN ({PUBLISHING}, {PRESENT}) AND id IN ({})",
                among(2)
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(publication)
                .bind_all(chunk.iter().copied());
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Records that the bucket does not have a NAR.
    pub async fn object_lost(&mut self, id: ObjectId) -> Result<()> {
        let text =
            format!("UPDATE objects SET state = {OBJECT_PENDING} WHERE id = $1 AND state = {OBJECT_PRESENT}");
        in_clause::query(self.backend, text, true)
            .bind(id)
            .execute(&mut *self.tx)
            .await?;
        self.forget_verdict(id).await
    }

    /// Begins to delete a NAR that is not what its name says; `await_deletion::objects` of the
    /// crate core goes on with it.
    pub async fn object_corrupt(&mut self, id: ObjectId) -> Result<()> {
        let text = format!(
            "UPDATE objects SET state = {OBJECT_DELETING}, fence = 0 WHERE id = $1 AND state = {OBJECT_PRESENT}"
        );
        in_clause::query(self.backend, text, true)
            .bind(id)
            .execute(&mut *self.tx)
            .await?;
        self.forget_verdict(id).await
    }
}
