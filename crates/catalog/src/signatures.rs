//! Signatures that committed paths gain: whoever pushes a path again brings those that it has now.

use std::collections::{BTreeSet, HashSet};

use futures::TryStreamExt as _;
use niks3_nix::signature::Signature;
use sqlx::Row as _;

use super::in_clause;
use super::path_columns::{PRESENT, PUBLISHING};
use super::states::CLAIM_EXTERNAL;
use super::{Catalog, PathId, PushId, Result, WriteTx};

/// Most signatures of a path to which others are added.
const MAX_ADDED_TO: usize = 16;

/// What a push adds to the signatures of a committed path.
#[derive(Debug, Clone)]
pub struct NewSignatures {
    path_id: PathId,
    nar_hash: Vec<u8>,
    /// As the database has them, one a line.
    before: String,
    /// With those that are new.
    after: String,
}

impl Catalog {
    /// The signatures that a push brings of paths that are committed with the same NAR, size and references, besides
    /// those by the server's own keys, which it makes itself.
    pub async fn new_signatures(
        &self,
        push_id: PushId,
        own_keys: &HashSet<String>,
    ) -> Result<Vec<NewSignatures>> {
        let text = format!(
            "SELECT p.id AS path_id, p.nar_hash, p.sigs AS before, c.sigs AS brought FROM push_paths c JOIN paths p ON p.id = c.path_id \
             WHERE c.push_id = $1 AND c.kind <> {CLAIM_EXTERNAL} AND c.sigs <> '' AND c.sigs <> p.sigs \
             AND p.state IN ({PUBLISHING}, {PRESENT}) AND c.nar_hash = p.nar_hash AND c.nar_size = p.nar_size \
             AND c.refs = p.refs"
        );
        let mut new = Vec::new();
        // One by one: in a cache that signs, nearly every path of a client carries the cache's own signature.
        let mut rows = in_clause::query(self.backend, text, true)
            .bind(push_id)
            .fetch(&self.reader);
        while let Some(row) = rows.try_next().await? {
            let (before, brought): (String, String) = (row.try_get("before")?, row.try_get("brought")?);
            if let Some(after) = merged(&before, &brought, own_keys) {
                new.push(NewSignatures {
                    path_id: row.try_get("path_id")?,
                    nar_hash: row.try_get("nar_hash")?,
                    before,
                    after,
                });
            }
        }
        Ok(new)
    }
}

/// The signatures of both, as far as there is room; nothing when none is new.
fn merged(before: &str, brought: &str, own_keys: &HashSet<String>) -> Option<String> {
    let mut all: BTreeSet<&str> = before.lines().collect();
    let count = all.len();
    let foreign = |line: &&str| {
        line.parse::<Signature>()
            .is_ok_and(|signature| !own_keys.contains(signature.key_name()))
    };
    for line in brought.lines().filter(foreign) {
        if all.len() >= MAX_ADDED_TO {
            break;
        }
        all.insert(line);
    }
    let lines: Vec<&str> = all.into_iter().collect();
    (lines.len() > count).then(|| lines.join("\n"))
}

impl WriteTx {
    /// Adds signatures to committed paths that are as they were seen, and has their narinfos written again.
    pub async fn add_signatures(&mut self, new: &[NewSignatures]) -> Result<()> {
        let publication = self.next_publication().await?;
        for path in new {
            let text = format!(
                "UPDATE paths SET sigs = $1, state = {PUBLISHING}, publication = $2 \
                 WHERE id = $3 AND sigs = $4 AND nar_hash = $5 AND state IN ({PUBLISHING}, {PRESENT})"
            );
            in_clause::query(self.backend, text, true)
                .bind(path.after.clone())
                .bind(publication)
                .bind(path.path_id)
                .bind(path.before.clone())
                .bind(path.nar_hash.clone())
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(name: &str) -> String {
        format!("{name}:{}==", "A".repeat(86))
    }

    #[test]
    fn what_is_new_and_not_our_own_is_added_while_there_is_room() {
        let own = HashSet::from(["ours".to_owned()]);
        let [one, two, ours] = ["one", "two", "ours"].map(signature);
        assert_eq!(merged("", &one, &own), Some(one.clone()));
        assert_eq!(merged(&one, &two, &own), Some(format!("{one}\n{two}")));
        assert_eq!(merged(&two, &one, &own), Some(format!("{one}\n{two}")));
        for (before, brought) in [(&one, &one), (&one, &ours), (&one, &"nonsense".to_owned())] {
            assert_eq!(merged(before, brought, &own), None);
        }
        let many: Vec<String> = (0..40).map(|i| signature(&format!("k{i:02}"))).collect();
        let all = merged("", &many.join("\n"), &own).unwrap_or_default();
        assert_eq!(all.lines().count(), MAX_ADDED_TO);
        assert_eq!(merged(&all, &one, &own), None);
    }
}
