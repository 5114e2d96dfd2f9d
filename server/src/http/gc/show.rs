//! `GET /gc/{id}`

use super::types::GcRun;
use super::{App, Error, find};

pub(super) async fn show(app: &App, id: &str) -> Result<GcRun, Error> {
    GcRun::of(find(app, id).await?)
}
