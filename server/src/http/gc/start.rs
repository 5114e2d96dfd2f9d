//! `POST /gc`

use std::sync::Arc;

use super::types::{GcRun, StartGc};
use super::{App, Error};
use crate::auth::Identity;
use crate::gc::{self, Request};

/// Most seconds of an age: a hundred years.
const MAX_AGE: u64 = 100 * 365 * 24 * 3600;

pub(super) async fn start(app: &Arc<App>, who: &Identity, body: &StartGc) -> Result<GcRun, Error> {
    let age = |field: &str, seconds: u64| match u32::try_from(seconds) {
        Ok(short) if seconds <= MAX_AGE => Ok(short),
        _ => Err(Error::invalid(
            field,
            format!("{seconds} seconds are more than the {MAX_AGE} of a hundred years"),
        )),
    };
    let request = Request {
        older_than: age("older_than_seconds", body.older_than_seconds)?,
        failed_uploads_older_than: age(
            "failed_uploads_older_than_seconds",
            body.failed_uploads_older_than_seconds,
        )?,
        force: body.force,
        dry_run: body.dry_run,
    };
    GcRun::of(gc::start(app, &who.name(), &request, body.accept_clock).await?)
}
