//! What every phase of a check needs.

use std::panic::Location;
use std::sync::Arc;

use niks3_base::error::Error;
use niks3_catalog::{FindingId, FindingState, NewFinding, TaskId, WriteTx};
use niks3_storage::ObjectKey;

use super::{Kind, Request, Shared};
use crate::app::App;
use crate::write_lock::{self, WRITE_LOCK_TIMEOUT};

/// How often a look under the write lock is tried.
const ATTEMPTS: usize = 3;

/// A check under way.
pub(super) struct Check<'a> {
    pub app: &'a Arc<App>,
    pub id: TaskId,
    pub identity: &'a str,
    pub request: &'a Request,
    pub shared: &'a Shared,
}

/// Something that does not fit.
#[derive(Debug, Clone)]
pub(super) struct Flaw<S> {
    /// What is wrong.
    pub kind: Kind,
    /// Key of the object, or name of the row.
    pub subject: String,
    /// In words.
    pub detail: String,
    /// What it is about.
    pub of: S,
}

impl<S> Flaw<S> {
    pub fn new(kind: Kind, subject: impl Into<String>, detail: impl Into<String>, of: S) -> Self {
        Self {
            kind,
            subject: subject.into(),
            detail: detail.into(),
            of,
        }
    }
}

/// A finding that has been written down.
#[derive(Debug, Clone)]
pub(super) struct Found<S> {
    /// Id of the finding.
    pub id: FindingId,
    /// What it is.
    pub flaw: Flaw<S>,
}

impl Check<'_> {
    /// A writing transaction, as long as this is the check under way.
    #[track_caller]
    pub fn write(&self) -> impl Future<Output = Result<WriteTx, Error>> {
        self.write_for(Location::caller())
    }

    async fn write_for(&self, by: &'static Location<'static>) -> Result<WriteTx, Error> {
        self.app.ownership.require()?;
        let mut tx = self.app.catalog.write_for(by).await?;
        if tx.holds_task(self.id).await? {
            return Ok(tx);
        }
        Err(Error::conflict("another check took over"))
    }

    /// Looks under the write lock; gives it back together with what was seen, so that
    /// what is done about it is done to what was seen.
    pub(crate) async fn under_write_lock<T, F>(&self, look: impl Fn() -> F) -> Result<(WriteTx, T), Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        for _ in 0..ATTEMPTS {
            let tx = self.write().await?;
            match tokio::time::timeout(WRITE_LOCK_TIMEOUT, look()).await {
                Ok(seen) => return Ok((tx, seen?)),
                Err(_) => drop(tx),
            }
            tokio::time::sleep(WRITE_LOCK_TIMEOUT).await;
        }
        Err(write_lock::too_slow())
    }

    /// Writes down what does not fit.
    pub(crate) async fn note<S>(
        &self,
        tx: &mut WriteTx,
        flaws: Vec<Flaw<S>>,
    ) -> Result<Vec<Found<S>>, Error> {
        let new: Vec<NewFinding> = flaws
            .iter()
            .map(|flaw| NewFinding {
                kind: flaw.kind.as_str(),
                subject: flaw.subject.clone(),
                detail: flaw.detail.clone(),
                left_to_gc: flaw.kind.left_to_gc(),
            })
            .collect();
        let ids = tx.add_findings(self.id, &new).await?;
        for flaw in &flaws {
            tracing::warn!(
                kind = flaw.kind.as_str(),
                subject = flaw.subject,
                detail = flaw.detail,
                "bucket and database disagree"
            );
        }
        self.shared.count(|counts| counts.found += flaws.len() as u64);
        Ok(ids
            .into_iter()
            .zip(flaws)
            .map(|(id, flaw)| Found { id, flaw })
            .collect())
    }

    /// Says what became of findings.
    pub async fn end(&self, ids: &[FindingId], mended: bool) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut tx = self.write().await?;
        let state = if mended {
            FindingState::Mended
        } else {
            FindingState::Failed
        };
        tx.end_findings(ids, state).await?;
        tx.commit().await?;
        if mended {
            self.shared.count(|counts| counts.mended += ids.len() as u64);
        }
        Ok(())
    }

    /// Says what became of the finding of an object that was to be adopted, and why.
    pub async fn settle(
        &self,
        kind: Kind,
        key: &ObjectKey,
        done: Result<String, Error>,
    ) -> Result<(), Error> {
        let (state, reason) = match &done {
            Ok(reason) => (FindingState::Mended, reason.clone()),
            Err(problem) => (FindingState::Failed, problem.message().to_owned()),
        };
        if let Err(problem) = &done
            && self.request.repair
        {
            tracing::warn!(
                key = key.as_str(),
                why = problem.text(),
                "an object is not adopted"
            );
        }
        let state = match self.request.dry_run {
            true => FindingState::Open,
            false => state,
        };
        let mut tx = self.write().await?;
        let changed = tx
            .end_finding_of(self.id, kind.as_str(), key.as_str(), state, &reason)
            .await?;
        tx.commit().await?;
        if state == FindingState::Mended {
            self.shared.count(|counts| counts.mended += changed);
        }
        Ok(())
    }

    /// The same for what was tried; why it failed goes to the log.
    pub async fn tried<T>(&self, ids: &[FindingId], result: Result<T, Error>) -> Result<(), Error> {
        if let Err(problem) = &result {
            tracing::warn!(why = problem.text(), "a finding could not be mended");
        }
        self.end(ids, result.is_ok()).await?;
        match result {
            Ok(_) => Ok(()),
            Err(problem) => {
                let mut tx = self.write().await?;
                tx.explain_findings(ids, problem.message()).await?;
                Ok(tx.commit().await?)
            }
        }
    }
}
