//! `POST /pushes/{id}/paths`

use std::collections::{BTreeSet, HashSet};

use niks3_nix::ca::ContentAddress;
use niks3_nix::signature::Signature;
use niks3_nix::store_path::{StoreDir, StorePath};

use super::types::{Claims, ClaimsAnswer, PathConflict, PathInfo};
use super::{App, Error, Identity, change, find_open, limits};
use crate::catalog::{ClaimKind, Claimed, PathMeta, Push, PushRank, SLICE_ROWS, claim_slices, claimed_names};
use crate::http::wire;
use crate::push;
use crate::push_limits::{MAX_BATCH, MAX_NAR, MAX_REFERENCES, MAX_SIGNATURES};

pub(super) async fn claim(app: &App, who: &Identity, id: &str, body: Claims) -> Result<ClaimsAnswer, Error> {
    let push = find_open(app, who, id).await?;
    wire::list("paths", &body.paths, MAX_BATCH)?;
    // Each is let go of when it has been read.
    let paths = body.paths.into_iter().map(|info| path_meta(app, &info));
    let paths: Vec<PathMeta> = paths.collect::<Result<_, _>>()?;
    let mut seen = HashSet::with_capacity(paths.len());
    if let Some(twice) = paths.iter().find(|meta| !seen.insert(&meta.path)) {
        return Err(Error::invalid("paths", format!("{} is named twice", twice.path)));
    }
    let external = wire::list("external", &body.external, MAX_BATCH * 10)?;
    let external: BTreeSet<StorePath> = external
        .iter()
        .map(|path| wire::store_path("external", path))
        .collect::<Result<_, _>>()?;
    let external = External {
        paths: external.into_iter().collect(),
        left_to: body
            .left_to
            .as_deref()
            .map(wire::cache_address)
            .transpose()?
            .unwrap_or_default(),
    };

    let mut claimed = claim_all(app, who, &push, &paths, &external).await?;
    app.catalog.count_claims(paths.len()).await?;
    let verify = push.verify || app.ownership.needs_repair().is_some();
    if verify && push::verify(app, &claimed).await? {
        claimed = claim_all(app, who, &push, &paths, &external).await?;
    }

    let derivers: BTreeSet<String> = paths
        .iter()
        .filter_map(|meta| meta.deriver.as_ref().map(ToString::to_string))
        .collect();
    let derivers: Vec<String> = derivers.into_iter().collect();
    let known: HashSet<String> = app.catalog.known_logs(&derivers).await?.into_iter().collect();
    let mut answer = ClaimsAnswer {
        needed: Vec::new(),
        conflicts: Vec::new(),
        logs_needed: derivers.into_iter().filter(|drv| !known.contains(drv)).collect(),
    };
    let mut differing = Vec::new();
    for claim in claimed {
        if claim.kind == ClaimKind::Needed {
            answer.needed.push(claim.path.to_string());
        } else if let Some(conflict) = claim.conflict {
            differing.push(conflict);
        }
    }
    let conflicts = push::describe(app, &differing).await?;
    answer.conflicts = conflicts.into_iter().map(PathConflict::from).collect();
    Ok(answer)
}

/// What a request leaves out.
struct External {
    paths: Vec<StorePath>,
    /// Address of the cache that has them, or nothing.
    left_to: String,
}

/// Claims everything, slice by slice: a claim that is cut off in between is made again. Names are looked at
/// before, so that wrong ones leave nothing.
async fn claim_all(
    app: &App,
    who: &Identity,
    push: &Push,
    paths: &[PathMeta],
    external: &External,
) -> Result<Vec<Claimed>, Error> {
    let mut names = claimed_names(paths);
    names.extend(&external.paths);
    let found = app.catalog.intern_most(&names).await?;
    let rank = PushRank::of(&app.signer, &push.keys);
    let mut claimed = Vec::with_capacity(paths.len());
    for slice in claim_slices(paths) {
        let mut tx = change(app, push).await?;
        claimed.extend(tx.claim(push.id, slice, &found, &rank).await?);
        limits::check(app, who, push, &mut tx).await?;
        tx.commit().await?;
    }
    for slice in external.paths.chunks(SLICE_ROWS) {
        let mut tx = change(app, push).await?;
        tx.claim_external(push.id, slice, &external.left_to, &found)
            .await?;
        tx.commit().await?;
    }
    Ok(claimed)
}

/// A content address that makes the path it is claimed of.
fn content_address(
    store_dir: &StoreDir,
    path: &StorePath,
    references: &BTreeSet<StorePath>,
    text: &str,
) -> Result<String, Error> {
    let wrong = |why: String| Error::invalid("paths.ca", format!("of {path}: {why}"));
    let ca: ContentAddress = text.parse().map_err(|error| wrong(format!("{error}")))?;
    ca.check_path(store_dir, path, references)
        .map_err(|error| wrong(error.to_string()))?;
    Ok(ca.to_string())
}

fn path_meta(app: &App, info: &PathInfo) -> Result<PathMeta, Error> {
    let path = wire::store_path("paths.path", &info.path)?;
    let references = wire::list("paths.references", &info.references, MAX_REFERENCES)?;
    let references: BTreeSet<StorePath> = references
        .iter()
        .map(|reference| wire::store_path("paths.references", reference))
        .collect::<Result<_, _>>()?;
    let sigs = wire::list("paths.signatures", &info.signatures, MAX_SIGNATURES)?;
    let sigs: BTreeSet<String> = sigs
        .iter()
        .map(|sig| match sig.parse::<Signature>() {
            Ok(sig) => Ok(sig.to_string()),
            Err(error) => Err(Error::invalid("paths.signatures", format!("of {path}: {error}"))),
        })
        .collect::<Result<_, _>>()?;
    let ca = info
        .ca
        .as_deref()
        .map(|ca| content_address(&app.store_dir, &path, &references, ca));
    let deriver = info
        .deriver
        .as_deref()
        .map(|deriver| wire::store_path("paths.deriver", deriver))
        .transpose()?;
    if let Some(deriver) = deriver.as_ref().filter(|deriver| !deriver.is_derivation()) {
        return Err(Error::invalid(
            "paths.deriver",
            format!("{deriver} is not a derivation"),
        ));
    }
    if info.nar_size == 0 {
        return Err(Error::invalid(
            "paths.nar_size",
            format!("no NAR is empty, so neither is that of {path}"),
        ));
    }
    if info.nar_size > app.max_nar_size {
        return Err(Error::invalid(
            "paths.nar_size",
            format!(
                "the NAR of {path} has {} bytes, and this server takes {} at most (--max-nar-size)",
                info.nar_size, app.max_nar_size
            ),
        ));
    }
    Ok(PathMeta {
        nar_hash: wire::nar_hash("paths.nar_hash", &info.nar_hash)?,
        nar_size: wire::size("paths.nar_size", info.nar_size, MAX_NAR)?,
        references: references.into_iter().collect(),
        deriver,
        sigs: sigs.into_iter().collect(),
        ca: ca.transpose()?,
        path,
    })
}
