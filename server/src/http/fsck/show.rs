//! `GET /fsck/{id}`

use super::types::FsckRun;
use super::{App, Problem, find};

pub(super) async fn show(app: &App, id: &str) -> Result<FsckRun, Problem> {
    FsckRun::of(app, find(app, id).await?).await
}
