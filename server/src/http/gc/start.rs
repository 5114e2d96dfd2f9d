//! `POST /gc`

use std::sync::Arc;

use super::types::{GcRun, StartGc};
use super::{App, Error};
use crate::auth::Identity;
use crate::gc::{self, Request};
use crate::policy_file::{MAX_BYTES, PolicyFile};

/// Most seconds of an age: a hundred years.
const MAX_AGE: u64 = 100 * 365 * 24 * 3600;

/// The policy of a dry run, once it can be read.
fn policy(body: &StartGc) -> Result<Option<String>, Error> {
    let Some(text) = &body.policy else { return Ok(None) };
    if !body.dry_run {
        let detail =
            "a policy is only tried: say dry_run, and give the file to the server by --retention-config";
        return Err(Error::invalid("policy", detail));
    }
    if text.len() > MAX_BYTES {
        return Err(Error::invalid(
            "policy",
            format!("it has more than {MAX_BYTES} bytes"),
        ));
    }
    let read = PolicyFile::parse(text.clone());
    read.map_err(|error| Error::invalid("policy", error.to_string()))?;
    Ok(Some(text.clone()))
}

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
        policy: policy(body)?,
        accept_policy: body.accept_policy.clone(),
        only: Vec::new(),
    };
    GcRun::of(gc::start(app, &who.name(), &request, body.accept_clock).await?)
}
