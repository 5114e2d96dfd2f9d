//! `POST /pushes`

use std::collections::BTreeSet;

use niks3_nix::store_path::{StoreDir, StorePath};

use super::types::{ChecksumAlgorithm, CreatePush, CreatedPush, SmallObjectLimits};
use super::{App, Error, Identity, limits};
use crate::catalog::NewPush;
use crate::http::wire;
use crate::metrics::metrics;
use crate::pin_name::PinName;
use crate::push_limits::{
    MAX_BATCH, MAX_LISTING, MAX_LOG, MAX_ROOTS, MAX_SMALL_BYTES, MAX_SMALL_NAR, MAX_SMALL_OBJECT,
    MAX_SMALL_OBJECTS, PART_SIZE,
};
use crate::runs;
use crate::storage::ChecksumKind;
use crate::telemetry;

pub(super) async fn create(app: &App, who: &Identity, body: CreatePush) -> Result<CreatedPush, Error> {
    let store_dir: StoreDir = body
        .store_dir
        .parse()
        .map_err(|error| Error::invalid("store_dir", format!("{error}")))?;
    if store_dir != app.store_dir {
        let detail = format!("this cache is of the store {}, not of {store_dir}", app.store_dir);
        return Err(Error::invalid("store_dir", detail));
    }
    let roots = wire::list("roots", &body.roots, MAX_ROOTS)?;
    let roots: BTreeSet<StorePath> = roots
        .iter()
        .map(|root| wire::store_path("roots", root))
        .collect::<Result<_, _>>()?;
    let roots: Vec<StorePath> = roots.into_iter().collect();
    if roots.is_empty() {
        return Err(Error::invalid("roots", "a push needs a root"));
    }
    let pin = body
        .pin
        .map(|name| name.parse::<PinName>())
        .transpose()
        .map_err(|error| Error::invalid("pin", error))?;
    if pin.is_some() && roots.len() > 1 {
        return Err(Error::invalid(
            "pin",
            "a pin names one path, so the push must have one root",
        ));
    }
    if let Some(pin) = &pin {
        who.require_pin(&pin.to_string())?;
    }
    let stated = body.run.map(|run| run.facts("run")).transpose()?;
    let run = runs::run_of(who, stated);
    let mut new = NewPush {
        token: niks3_nix::base32::encode(&rand::random::<[u8; 20]>()),
        identity: who.name(),
        pin: pin.map(|pin| pin.to_string()),
        verify: body.verify_integrity,
        lease: i64::from(app.lease_seconds),
        run_id: None,
        keys: who.grant().signing_keys.as_ref().into(),
        exempt: app.verify_uploads.exempts(who.grant().trusted),
    };
    let found = app.catalog.intern_most(&roots.iter().collect()).await?;
    let mut tx = app.catalog.write().await?;
    limits::admit(app, who, &mut tx).await?;
    if let Some(pin) = &new.pin
        && let Some(taken) = tx.pin_name_taken(pin).await?
    {
        return Err(taken.into());
    }
    if let Some(run) = &run {
        let (run_id, _) = tx.record_run(run, &runs::token()).await?;
        new.run_id = Some(run_id);
    }
    let id = tx.open_push(&new).await?;
    tx.add_roots(id, &roots, &found).await?;
    tx.commit().await?;
    metrics().push_opened();
    telemetry::note_push(&new.token);
    tracing::info!(
        push = new.token,
        identity = new.identity,
        roots = roots.len(),
        "push opened"
    );
    Ok(CreatedPush {
        id: new.token,
        lease_seconds: app.lease_seconds,
        checksum: match app.checksum {
            ChecksumKind::Sha256 => ChecksumAlgorithm::Sha256,
            ChecksumKind::Md5 => ChecksumAlgorithm::Md5,
        },
        part_size: PART_SIZE,
        max_batch: u32::try_from(MAX_BATCH).unwrap_or(u32::MAX),
        max_log_size: MAX_LOG,
        max_listing_size: MAX_LISTING,
        verifies_uploads: !new.exempt,
        small_objects: Some(SmallObjectLimits {
            max_object_size: MAX_SMALL_OBJECT as u64,
            max_nar_size: MAX_SMALL_NAR,
            max_objects: u32::try_from(MAX_SMALL_OBJECTS).unwrap_or(u32::MAX),
            max_request_size: MAX_SMALL_BYTES as u64,
        }),
    })
}
