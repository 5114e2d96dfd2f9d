//! `POST /fsck`

use std::sync::Arc;

use super::types::{FsckRun, StartFsck};
use super::{App, Problem};
use crate::auth::Identity;
use crate::fsck::{self, Request};

pub(super) async fn start(app: &Arc<App>, who: &Identity, body: &StartFsck) -> Result<FsckRun, Problem> {
    let request = Request {
        repair: body.repair,
        contents: body.contents,
    };
    let row = fsck::start(app, &who.name(), &request).await?;
    FsckRun::of(app, row).await
}
