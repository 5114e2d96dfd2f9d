//! `PUT /pushes/{id}/lease`

use super::types::Lease;
use super::{App, Error, Identity, find};

pub(super) async fn renew(app: &App, who: &Identity, id: &str) -> Result<Lease, Error> {
    let push = find(app, who, id).await?;
    if !app
        .catalog
        .renew_lease(push.id, i64::from(app.lease_seconds))
        .await?
    {
        return Err(Error::push_gone(
            "the push has ended, or its lease has run out: begin again",
        ));
    }
    Ok(Lease {
        lease_seconds: app.lease_seconds,
    })
}
