//! `GET /fsck/{id}`

use super::types::FsckRun;
use super::{App, Error, find};

pub(super) async fn show(app: &App, id: &str) -> Result<FsckRun, Error> {
    FsckRun::of(app, find(app, id).await?).await
}
