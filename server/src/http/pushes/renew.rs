//! `PUT /pushes/{id}/lease`

use super::types::Lease;
use super::{App, Identity, Problem, find};

pub(super) async fn renew(app: &App, who: &Identity, id: &str) -> Result<Lease, Problem> {
    let push = find(app, who, id).await?;
    if !app
        .catalog
        .renew_lease(push.id, i64::from(app.lease_seconds))
        .await?
    {
        return Err(Problem::push_gone(
            "the push has ended, or its lease has run out: begin again",
        ));
    }
    Ok(Lease {
        lease_seconds: app.lease_seconds,
    })
}
