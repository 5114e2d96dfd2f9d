//! What tells a commit whether its push could close a cycle of references.

use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::{self, ABSENT, DELETING, PRESENT, PUBLISHING};
use super::states::CLAIM_NEEDED;
use super::{Catalog, PathId, PushId, Result, WriteTx};

/// What a commit has seen of the references around the paths that its push provides.
#[derive(Debug, Clone, Default)]
pub struct SeenReferences {
    /// The last publication before it looked.
    publications: i64,
    /// How often committed paths have been withdrawn.
    withdrawals: i64,
    /// How often the references of committed paths have been replaced.
    replacements: i64,
    /// How many paths the push provides that are not committed.
    provided: i64,
    /// Committed paths may refer to some of them, so that what the push refers to has to be walked.
    pub referred: bool,
    /// What was reached by the walk, is not committed, and is not provided by the push.
    pub absent: Vec<PathId>,
    /// The push gives committed paths other references, which has to be walked as well.
    pub replacing: bool,
}

impl SeenReferences {
    /// The push itself has replaced contents.
    pub(super) fn add_own_replacement(&mut self) {
        self.replacements += 1;
    }

    /// The push replaces contents of committed paths.
    pub fn replaces(&mut self) {
        self.replacing = true;
        self.referred = true;
    }
}

/// How many paths a push provides that are not committed, and how many of them committed paths may refer to: those that
/// were left out of a push, and those that have been in the cache, which leave their NAR hash.
fn provided(empty_bytes: &str) -> String {
    format!(
        "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN p.left_out <> 0 OR p.nar_hash <> {empty_bytes} \
         THEN 1 ELSE 0 END), 0) AS BIGINT) FROM push_paths c JOIN paths p ON p.id = c.path_id \
         WHERE c.push_id = $1 AND c.kind = {CLAIM_NEEDED} AND p.state IN ({ABSENT}, {DELETING})"
    )
}

const COUNTERS: &str =
    "SELECT name, value FROM counters WHERE name IN ('publications', 'losses', 'replacements')";

fn counters(rows: Vec<(String, i64)>) -> (i64, i64, i64) {
    let (mut publications, mut withdrawals, mut replacements) = (0, 0, 0);
    for (name, value) in rows {
        match name.as_str() {
            "losses" => withdrawals = value,
            "replacements" => replacements = value,
            _ => publications = value,
        }
    }
    (publications, withdrawals, replacements)
}

impl Catalog {
    /// Looks at what a push provides.
    pub async fn seen_references(&self, push_id: PushId) -> Result<SeenReferences> {
        // First the counters: what changes after that is noticed.
        let (publications, withdrawals, replacements) =
            counters(sqlx::query_as(COUNTERS).fetch_all(&self.reader).await?);
        let (provided, referred): (i64, i64) =
            in_clause::query_as(self.backend, provided(self.backend.empty_bytes()), true)
                .bind(push_id)
                .fetch_one(&self.reader)
                .await?;
        Ok(SeenReferences {
            publications,
            withdrawals,
            replacements,
            provided,
            referred: referred != 0,
            absent: Vec::new(),
            replacing: false,
        })
    }

    /// What each of some paths refers to; nothing for one that is not committed.
    pub async fn references_of(&self, ids: &[PathId]) -> Result<Vec<(PathId, Option<Vec<PathId>>)>> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "SELECT id, state, refs FROM paths WHERE id IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query =
                in_clause::query_as(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            let rows: Vec<(PathId, i64, Vec<u8>)> = query.fetch_all(&self.reader).await?;
            for (id, state, refs) in rows {
                let committed = matches!(state, PUBLISHING | PRESENT);
                let refs = committed.then(|| path_columns::unpack_refs(&refs));
                found.push((id, refs.transpose()?));
            }
        }
        Ok(found)
    }
}

impl WriteTx {
    /// Whether no cycle can have come about through a push since its references were looked at, and nothing that it refers
    /// to been lost: asked in each transaction that decides some of it, of which `taken` paths are decided by then. False
    /// says that it has to be looked at again.
    pub(super) async fn references_unchanged(
        &mut self,
        push_id: PushId,
        seen: &SeenReferences,
        taken: i64,
    ) -> Result<bool> {
        let (publications, withdrawals, replacements) =
            counters(sqlx::query_as(COUNTERS).fetch_all(&mut *self.tx).await?);
        if publications == seen.publications {
            return Ok(true);
        }
        if withdrawals != seen.withdrawals {
            return Ok(false);
        }
        let (provided, referred): (i64, i64) =
            in_clause::query_as(self.backend, provided(self.backend.empty_bytes()), true)
                .bind(push_id)
                .fetch_one(&mut *self.tx)
                .await?;
        if referred == 0 && !seen.replacing {
            return Ok(true);
        }
        if replacements != seen.replacements {
            return Ok(false);
        }
        // What others have made of a path that the push provided refers to something else than what was walked.
        if !seen.referred || provided != seen.provided - taken {
            return Ok(false);
        }
        for chunk in seen.absent.chunks(ROWS) {
            let text = format!(
                "SELECT id FROM paths WHERE state IN ({PUBLISHING}, {PRESENT}) AND id IN ({}) LIMIT 1",
                in_clause::placeholders(1, chunk.len())
            );
            let query =
                in_clause::query(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            if query.fetch_optional(&mut *self.tx).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Counts that the references of committed paths are replaced: whoever has walked them looks again.
    pub(super) async fn replaced_paths(&mut self) -> Result<()> {
        sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'replacements'")
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Counts that committed paths are withdrawn, and may come back with other references.
    pub(super) async fn lost_paths(&mut self) -> Result<()> {
        sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'losses'")
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
