//! `GET /gc/{id}`

use super::types::GcRun;
use super::{App, Problem, find};

pub(super) async fn show(app: &App, id: &str) -> Result<GcRun, Problem> {
    GcRun::of(find(app, id).await?)
}
