//! `GET /fsck/{id}/findings`

use super::types::{Finding, Findings};
use super::{App, Error, find, page};
use crate::catalog::FindingId;

pub(super) async fn findings(
    app: &App,
    id: &str,
    after: Option<u64>,
    limit: Option<u32>,
) -> Result<Findings, Error> {
    let limit = page(limit)?;
    let run = find(app, id).await?;
    let after = i64::try_from(after.unwrap_or_default())
        .map_err(|_| Error::invalid("after", "it is no place in this list"))?;
    let rows = app
        .catalog
        .findings(run.id, FindingId::from(after), limit)
        .await?;
    let full = i64::try_from(rows.len()) == Ok(limit);
    Ok(Findings {
        next: rows
            .last()
            .filter(|_| full)
            .map(|row| row.id.get().unsigned_abs()),
        findings: rows.into_iter().map(Finding::of).collect(),
    })
}
