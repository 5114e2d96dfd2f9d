//! Committed paths: narinfo, listing, references, realisations.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt as _, TryStreamExt as _};
use niks3_base::error::Error;
use niks3_base::realisation;
use niks3_catalog::{CheckedPath, PathId, Publishable, Realised, ReferenceStatus};
use niks3_nix::ca::ContentAddress;
use niks3_nix::narinfo::NarInfo;
use niks3_nix::store_path::StorePath;
use niks3_storage::ObjectKey;

use super::check::{Check, Flaw};
use super::mend::{self, About};
use super::{Kind, Phase};
use crate::push;
use crate::write_lock::UNDER_WRITE_LOCK;

/// Paths that are looked at together.
const PAGE: i64 = 500;
/// Questions to the bucket under way at once.
const CONCURRENCY: usize = 64;
/// Most bytes of a narinfo or a realisation that are read.
pub(super) const MAX_TEXT: usize = 4 << 20;

pub(super) async fn run(check: &Check<'_>) -> Result<(), Error> {
    let Some(after) = check.shared.enter(Phase::Paths) else {
        return Ok(());
    };
    let mut after: PathId = after.parse().unwrap_or_default();
    loop {
        let page = check.app.catalog.checked_paths(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.row.path_id;
        let looked_at = page.len() as u64;
        let suspects: Vec<PathId> = look(check, page)
            .await?
            .into_iter()
            .map(|(id, _)| id)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        for ids in suspects.chunks(UNDER_WRITE_LOCK) {
            let again = || async { look(check, check.app.catalog.checked_paths_among(ids).await?).await };
            let (mut tx, flaws) = check.under_write_lock(again).await?;
            let flaws = flaws.into_iter().map(|(_, flaw)| flaw).collect();
            let found = check.note(&mut tx, flaws).await?;
            tx.commit().await?;
            if check.request.repair {
                mend::paths(check, found).await?;
            }
        }
        check.shared.after(after, |counts| counts.paths += looked_at);
    }
}

/// What of those paths does not fit, each with the id of the path to look at again.
async fn look(check: &Check<'_>, mut page: Vec<CheckedPath>) -> Result<Vec<(PathId, Flaw<About>)>, Error> {
    let catalog = &check.app.catalog;
    // What a push under way is about to publish is its affair.
    page.retain(|path| path.published || !path.claimed);
    let refs: BTreeSet<PathId> = page
        .iter()
        .flat_map(|path| path.row.refs.iter().copied())
        .collect();
    let referred = catalog.referred(&refs.into_iter().collect::<Vec<_>>()).await?;
    let ids: Vec<PathId> = page.iter().map(|path| path.row.path_id).collect();
    let mut flaws = realisations(check, catalog.realisations_of(&ids).await?).await?;

    let published: Vec<&CheckedPath> = page.iter().filter(|path| path.published).collect();
    let names: Vec<StorePath> = published.iter().map(|path| path.row.path.clone()).collect();
    let missing = push::listing::missing(check.app, &names).await?;
    for path in published {
        if missing.contains(&path.row.path) {
            let about = About::Listing(Box::new(path.clone()));
            let key = ObjectKey::listing(&path.row.path.hash());
            let detail = format!(
                "the listing of {} is neither in the bucket nor in the database",
                path.row.path
            );
            let flaw = Flaw::new(Kind::MissingListing, key.as_str(), detail, about);
            flaws.push((path.row.path_id, flaw));
        }
    }
    flaws.extend(unpublished(check, &page, &referred).await?);
    let unpublished: Vec<PathId> = page
        .iter()
        .filter(|path| !path.published)
        .map(|path| path.row.path_id)
        .collect();
    let rooted = catalog.rooted(&unpublished).await?;
    let looks: Vec<_> = page
        .iter()
        .map(|path| narinfo(check, path, &referred, rooted.contains(&path.row.path_id)))
        .collect();
    let found: Vec<Vec<(PathId, Flaw<About>)>> = futures::stream::iter(looks)
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    flaws.extend(found.into_iter().flatten());
    Ok(flaws)
}

/// What published paths refer to and has itself not been published, or no more.
async fn unpublished(
    check: &Check<'_>,
    page: &[CheckedPath],
    referred: &HashMap<PathId, ReferenceStatus>,
) -> Result<Vec<(PathId, Flaw<About>)>, Error> {
    let mut suspects: Vec<(PathId, PathId, ObjectKey)> = Vec::new();
    for path in page.iter().filter(|path| path.published) {
        for id in path.row.refs.iter().filter(|id| **id != path.row.path_id) {
            if let Some(other) = referred.get(id).filter(|other| other.there && !other.published) {
                suspects.push((path.row.path_id, *id, ObjectKey::narinfo(&other.path.hash())));
            }
        }
    }
    let keys = suspects.iter().map(|(_, _, key)| key.clone()).collect();
    let sizes = check.app.bucket.sizes(keys).await?;
    let missing = suspects.into_iter().zip(sizes).filter(|(_, size)| size.is_none());
    Ok(missing
        .map(|((path, id, key), _)| {
            let detail = "a narinfo that is referred to is not in the bucket";
            let flaw = Flaw::new(Kind::MissingNarinfo, key.as_str(), detail, About::Narinfo(id));
            (path, flaw)
        })
        .collect())
}

async fn narinfo(
    check: &Check<'_>,
    path: &CheckedPath,
    referred: &HashMap<PathId, ReferenceStatus>,
    rooted: bool,
) -> Result<Vec<(PathId, Flaw<About>)>, Error> {
    let row = &path.row;
    let mut flaws = Vec::new();
    let mut references: BTreeSet<StorePath> = BTreeSet::new();
    let mut nameless = None;
    for id in &row.refs {
        match referred.get(id) {
            None => nameless = Some(format!("{} refers to something that nobody knows", row.path)),
            Some(other) => {
                if !other.there && !other.left_out {
                    nameless = Some(format!(
                        "{} refers to {}, which is not in the cache",
                        row.path, other.path
                    ));
                }
                references.insert(other.path.clone());
            }
        }
    }
    let key = ObjectKey::narinfo(&row.path.hash());
    let mut found = |kind: Kind, detail: String, about: About| {
        flaws.push((row.path_id, Flaw::new(kind, key.as_str(), detail, about)));
    };
    if let Some(detail) = nameless {
        found(Kind::MissingReference, detail, About::Lost);
    }
    if let Some(detail) = wrong_address(check, row, &references) {
        found(Kind::WrongContentAddress, detail, About::Lost);
    }
    let narinfo = About::Narinfo(row.path_id);
    match check.app.bucket.read_text(&key, MAX_TEXT).await? {
        None if path.published || rooted => {
            let detail = format!("the narinfo of {} is not in the bucket", row.path);
            found(Kind::MissingNarinfo, detail, narinfo);
        }
        None => {
            let detail = format!("{} was not published before its push ended", row.path);
            found(Kind::Unpublished, detail, narinfo);
        }
        Some(text) => {
            let expected = push::narinfo(&check.app.signer, &check.app.store_dir, row, references)
                .map_err(Error::internal)?;
            if let Some((kind, why)) = compare(check, &text, &expected) {
                found(kind, format!("the narinfo of {} {why}", row.path), narinfo);
            }
        }
    }
    Ok(flaws)
}

/// Why the content address of a path does not make that path. Whether it is that of the NAR is found by reading that.
fn wrong_address(check: &Check<'_>, row: &Publishable, references: &BTreeSet<StorePath>) -> Option<String> {
    let path = &row.path;
    let ca: ContentAddress = match row.ca.as_deref()?.parse() {
        Ok(ca) => ca,
        Err(error) => return Some(format!("of {path}: {error}")),
    };
    let error = ca.check_path(&check.app.store_dir, path, references).err()?;
    Some(format!("of {path}: {error}"))
}

/// In what a narinfo differs from what it should be.
fn compare(check: &Check<'_>, text: &[u8], expected: &NarInfo) -> Option<(Kind, String)> {
    let wrong = |why: String| Some((Kind::WrongNarinfo, why));
    let parsed = std::str::from_utf8(text)
        .map_err(|_| "is no text".to_owned())
        .and_then(|text| {
            NarInfo::parse(&check.app.store_dir, text).map_err(|error| format!("cannot be read: {error}"))
        });
    let found = match parsed {
        Ok(found) => found,
        Err(why) => return wrong(why),
    };
    let differs = |what: &str| wrong(format!("has another {what} than the database"));
    if found.store_path != expected.store_path {
        return differs("store path");
    }
    if found.url != expected.url || found.compression != expected.compression {
        return differs("URL");
    }
    // Other writers leave them out.
    let other_hash = found.file_hash.is_some() && found.file_hash != expected.file_hash;
    let other_size = found.file_size.is_some() && found.file_size != expected.file_size;
    if other_hash || other_size {
        return differs("hash or size of its file");
    }
    if (found.nar_hash, found.nar_size) != (expected.nar_hash, expected.nar_size) {
        return differs("hash or size of its NAR");
    }
    if found.references != expected.references {
        return differs("list of references");
    }
    if found.deriver != expected.deriver || found.ca != expected.ca {
        return differs("deriver or content address");
    }
    let missing = expected.sigs.difference(&found.sigs).next()?;
    let name = missing.key_name();
    if found.sigs.iter().any(|signature| signature.key_name() == name) {
        return Some((
            Kind::BadSignature,
            format!("has a signature by {name} that is not right"),
        ));
    }
    Some((Kind::MissingSignature, format!("has no signature by {name}")))
}

async fn realisations(
    check: &Check<'_>,
    realised: Vec<Realised>,
) -> Result<Vec<(PathId, Flaw<About>)>, Error> {
    let found: Vec<Option<(PathId, Flaw<About>)>> = futures::stream::iter(realised)
        .map(|realised| async move {
            let key = ObjectKey::parse(&realised.key).map_err(Error::internal)?;
            let expected =
                realisation::signed(&check.app.signer, &realised.keys, &realised.key, &realised.body)
                    .map_err(Error::internal)?;
            let (kind, detail) = match check.app.bucket.read_text(&key, MAX_TEXT).await? {
                None => (Kind::MissingRealisation, "it is not in the bucket"),
                Some(text) if !realisation::says(&realised.key, &text, &expected) => (
                    Kind::WrongRealisation,
                    "it does not say what the database has, or not with our signatures",
                ),
                Some(_) => return Ok::<_, Error>(None),
            };
            let id = realised.path_id;
            Ok(Some((
                id,
                Flaw::new(kind, key.as_str(), detail, About::Realisation(realised)),
            )))
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}
