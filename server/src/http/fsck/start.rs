//! `POST /fsck`

use std::sync::Arc;

use niks3_nix::signature::PublicKey;

use super::types::{FsckRun, StartFsck};
use super::{App, Error};
use crate::auth::Identity;
use crate::fsck::{self, Request};
use crate::http::wire;

/// Most keys that one check trusts: caches that are merged have a few.
const MAX_TRUST_KEYS: usize = 100;

pub(super) async fn start(app: &Arc<App>, who: &Identity, body: &StartFsck) -> Result<FsckRun, Error> {
    for key in wire::list("trust_keys", &body.trust_keys, MAX_TRUST_KEYS)? {
        let parsed: Result<PublicKey, _> = key.parse();
        parsed.map_err(|error| Error::invalid("trust_keys", error.to_string()))?;
    }
    let mut trust_keys = body.trust_keys.clone();
    trust_keys.sort_unstable();
    let request = Request {
        repair: body.repair && !body.dry_run,
        contents: body.contents,
        dry_run: body.dry_run,
        trust_keys,
    };
    let row = fsck::start(app, &who.name(), &request).await?;
    FsckRun::of(app, row).await
}
