//! What belongs to narinfos: realisations, listings, build logs, debug information, pins and NARs.

use niks3_base::compression::{Codec, Packing};
use niks3_base::error::Error;
use niks3_base::signing::KeyChoice;
use niks3_catalog::{PinnedAs, Realised};
use niks3_nix::realisation::{BuildTraceEntry, Realisation};
use niks3_nix::store_path::StorePath;
use niks3_storage::ObjectKey;
use serde::Deserialize;

use super::super::Kind;
use super::super::check::Check;
use super::super::paths::MAX_TEXT;
use super::{State, hash_of, is_absent, refused};
use crate::pins;

/// Most bytes of a pin or of debug information.
const MAX_SMALL: usize = 64 << 10;

pub(super) async fn adopt(
    check: &Check<'_>,
    state: &State,
    kind: Kind,
    key: &ObjectKey,
) -> Result<(), Error> {
    match kind {
        Kind::UnknownRealisation => realisation(check, key).await,
        Kind::UnknownListing => listing(check, key).await,
        Kind::UnknownLog => log(check, state, key).await,
        Kind::UnknownDebugInfo => debug_info(check, key).await,
        Kind::UnknownPin => pin(check, key).await,
        _ => nar(check, state, key).await,
    }
}

fn gone() -> Error {
    refused("it is gone")
}

async fn realisation(check: &Check<'_>, key: &ObjectKey) -> Result<(), Error> {
    let look = || async {
        let name = [key.as_str().to_owned()];
        let unknown = check.app.catalog.known_realisations(&name).await?.is_empty();
        Ok((unknown, check.app.bucket.read_text(key, MAX_TEXT).await?))
    };
    let (mut tx, (unknown, text)) = check.under_write_lock(look).await?;
    if !unknown {
        return Ok(());
    }
    let body = String::from_utf8(text.ok_or_else(gone)?).map_err(|_| refused("it is not text"))?;
    let unreadable = |error: &dyn std::fmt::Display| refused(error.to_string());
    let path: StorePath = if key.as_str().starts_with("realisations/") {
        let realisation = Realisation::parse(body.as_bytes()).map_err(|error| unreadable(&error))?;
        if realisation.cache_key() != key.as_str() {
            return Err(refused(format!("it is that of {}", realisation.cache_key())));
        }
        realisation.out_path().clone()
    } else {
        let entry = BuildTraceEntry::parse(body.as_bytes()).map_err(|error| unreadable(&error))?;
        entry.out_path().clone()
    };
    let path_id = tx
        .committed(&path)
        .await?
        .ok_or_else(|| refused(format!("it is one of {path}, which is not in the cache")))?;
    tx.add_realisation(&Realised {
        key: key.as_str().to_owned(),
        path_id,
        body,
        keys: KeyChoice::none(),
    })
    .await?;
    Ok(tx.commit().await?)
}

/// A listing is known by its path.
async fn listing(check: &Check<'_>, key: &ObjectKey) -> Result<(), Error> {
    let owned = !is_absent(check, &hash_of(key)?).await?;
    if owned || check.app.bucket.head(key).await?.is_none() {
        return Ok(());
    }
    Err(refused("it belongs to no narinfo that was adopted"))
}

async fn log(check: &Check<'_>, state: &State, key: &ObjectKey) -> Result<(), Error> {
    let drv = key.as_str().trim_start_matches("log/").to_owned();
    let belongs_to_others = state.may_be_used(state.derivers.contains(&drv));
    if belongs_to_others.is_err() && !check.app.catalog.has_deriver(&drv).await? {
        return belongs_to_others;
    }
    let look = || async { Ok(check.app.bucket.head(key).await?) };
    let (mut tx, found) = check.under_write_lock(look).await?;
    let size = i64::try_from(found.ok_or_else(gone)?.size).map_err(Error::internal)?;
    tx.adopt_log(&drv, size).await?;
    Ok(tx.commit().await?)
}

/// `debuginfo/<build id>` as `nix copy` writes it with `index-debug-info=true`.
#[derive(Deserialize)]
struct DebugInfo {
    /// URL of the NAR, relative to `debuginfo/`.
    archive: String,
}

async fn debug_info(check: &Check<'_>, key: &ObjectKey) -> Result<(), Error> {
    let look = || async { Ok(check.app.bucket.read_text(key, MAX_SMALL).await?) };
    let (mut tx, text) = check.under_write_lock(look).await?;
    let info: DebugInfo = serde_json::from_slice(&text.ok_or_else(gone)?)
        .map_err(|error| refused(format!("it is no debug information: {error}")))?;
    let nar = info.archive.trim_start_matches("../");
    if !tx.adopt_debug_info(key.as_str(), nar).await? {
        return Err(refused(format!(
            "it points into {nar}, which no path of the cache has"
        )));
    }
    Ok(tx.commit().await?)
}

async fn pin(check: &Check<'_>, key: &ObjectKey) -> Result<(), Error> {
    let name = key.as_str().trim_start_matches("pins/").to_owned();
    let look = || async {
        let known = check.app.catalog.known_pins(std::slice::from_ref(&name)).await?;
        Ok((
            known.is_empty(),
            check.app.bucket.read_text(key, MAX_SMALL).await?,
        ))
    };
    let (mut tx, (unknown, text)) = check.under_write_lock(look).await?;
    if !unknown {
        return Ok(());
    }
    let text = String::from_utf8(text.ok_or_else(gone)?).map_err(|_| refused("it is not text"))?;
    let path = check
        .app
        .store_dir
        .parse(text.trim())
        .map_err(|error| refused(format!("it names no store path: {error}")))?;
    if tx.set_pin(&name, &path).await? == PinnedAs::Nothing {
        return Err(refused(format!("it names {path}, which is not in the cache")));
    }
    tx.commit().await?;
    pins::settle(check.app, &name).await
}

/// A NAR that no narinfo has goes with the next collections.
async fn nar(check: &Check<'_>, state: &State, key: &ObjectKey) -> Result<(), Error> {
    let name = [key.as_str().to_owned()];
    if !check.app.catalog.known_nars(&name).await?.is_empty() {
        return Ok(());
    }
    state.may_be_used(state.nars.contains(key.as_str()))?;
    let look = || async { Ok(check.app.bucket.head(key).await?) };
    let (mut tx, found) = check.under_write_lock(look).await?;
    let size = i64::try_from(found.ok_or_else(gone)?.size).map_err(Error::internal)?;
    let compression = match key.as_str().rsplit_once('.').map(|(_, extension)| extension) {
        Some("zst") => Codec::Zstd,
        Some("xz") => Codec::Xz,
        Some("bz2") => Codec::Bzip2,
        Some("gz") => Codec::Gzip,
        Some("br") => Codec::Brotli,
        _ => Codec::None,
    };
    let packing = Packing {
        compression,
        encoding: Codec::None,
    };
    tx.adopt_nar(key.as_str(), size, None, packing).await?;
    Ok(tx.commit().await?)
}
