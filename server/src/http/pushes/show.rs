//! `GET /pushes/{id}`

use super::types::{PushStatus, State};
use super::{App, Error, Identity, PushState, find};

pub(super) async fn show(app: &App, who: &Identity, id: &str) -> Result<PushStatus, Error> {
    let push = find(app, who, id).await?;
    let state = match push.state {
        _ if push.expired() => State::Expired,
        PushState::Open => State::Open,
        PushState::Committing => State::Committing,
        PushState::Committed => State::Committed,
        PushState::Aborted => State::Aborted,
        PushState::Expired => State::Expired,
    };
    Ok(PushStatus {
        id: push.token,
        state,
    })
}
