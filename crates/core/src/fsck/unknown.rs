//! What the bucket has and the database has not.

use std::collections::{HashMap, HashSet};

use niks3_base::error::Error;
use niks3_catalog::now;
use niks3_storage::{ObjectKey, StorageError, Versioning};

use super::check::{Check, Flaw};
use super::{Kind, Phase};
use crate::object_group::{Group, group};
use crate::write_lock::UNDER_WRITE_LOCK;

/// Keys that one question to the bucket lists.
const PAGE: usize = 1000;
/// Objects of others that are named.
const MAX_FOREIGN: usize = 1000;

pub(super) async fn objects(check: &Check<'_>) -> Result<(), Error> {
    let Some(mut after) = check.shared.enter(Phase::Bucket) else {
        return Ok(());
    };
    if after.is_empty() {
        versions(check).await?;
    }
    let mut foreign = 0;
    loop {
        let page = check.app.bucket.list("", &after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.key);
        let keys: Vec<String> = page.iter().map(|object| object.key.clone()).collect();
        let mut suspects: Vec<String> = look(check, &keys)
            .await?
            .into_iter()
            .map(|flaw| flaw.of)
            .collect();
        suspects.sort_unstable();
        suspects.dedup();
        for keys in suspects.chunks(UNDER_WRITE_LOCK) {
            let again = || async { look(check, &there(check, keys).await?).await };
            let (mut tx, mut flaws) = check.under_write_lock(again).await?;
            flaws.retain(|flaw| {
                foreign += usize::from(flaw.kind == Kind::ForeignObject);
                flaw.kind != Kind::ForeignObject || foreign <= MAX_FOREIGN
            });
            let found = check.note(&mut tx, flaws).await?;
            tx.commit().await?;
            if check.request.repair {
                // What others keep in the bucket is theirs.
                let ids = found
                    .iter()
                    .filter(|finding| finding.flaw.kind == Kind::ForeignObject);
                check
                    .end(&ids.map(|finding| finding.id).collect::<Vec<_>>(), false)
                    .await?;
            }
        }
        check
            .shared
            .after(&after, |counts| counts.objects += keys.len() as u64);
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

/// Says when the bucket keeps what is deleted.
async fn versions(check: &Check<'_>) -> Result<(), Error> {
    let versioning = check.app.bucket.versioning().await?;
    if check.app.delete_versions || versioning != (Versioning::Enabled { expires: false }) {
        return Ok(());
    }
    let flaw = Flaw::new(Kind::VersionedBucket, "the bucket", niks3_storage::VERSIONED, ());
    let mut tx = check.write().await?;
    let found = check.note(&mut tx, vec![flaw]).await?;
    tx.commit().await?;
    if check.request.repair {
        let ids: Vec<_> = found.iter().map(|finding| finding.id).collect();
        check.end(&ids, false).await?;
    }
    Ok(())
}

/// Those of some objects that are there still.
async fn there(check: &Check<'_>, keys: &[String]) -> Result<Vec<String>, Error> {
    let parsed: Vec<Option<ObjectKey>> = keys.iter().map(|key| ObjectKey::parse(key).ok()).collect();
    let sizes = check
        .app
        .bucket
        .sizes(parsed.iter().flatten().cloned().collect())
        .await?;
    let mut sizes = sizes.into_iter();
    Ok(keys
        .iter()
        .zip(parsed)
        // What has no key that means something is nothing that goes meanwhile.
        .filter(|(_, parsed)| parsed.is_none() || sizes.next().flatten().is_some())
        .map(|(key, _)| key.clone())
        .collect())
}

/// The objects that the database has no place for, each with its key.
async fn look(check: &Check<'_>, keys: &[String]) -> Result<Vec<Flaw<String>>, Error> {
    let catalog = &check.app.catalog;
    let mut groups: HashMap<Group, Vec<(&String, String)>> = HashMap::new();
    let mut flaws = Vec::new();
    for key in keys {
        match ObjectKey::parse(key) {
            Err(_) => flaws.push(Flaw::new(
                Kind::ForeignObject,
                shown(key),
                "no part of a binary cache is called so; it is left alone",
                key.clone(),
            )),
            Ok(parsed) if parsed.is_nar() && !parsed.is_named_like_nar() => {
                if !catalog.known_nars(std::slice::from_ref(key)).await?.contains(key) {
                    let detail = "no NAR is called so; it is left alone unless a narinfo names it";
                    flaws.push(Flaw::new(Kind::ForeignObject, shown(key), detail, key.clone()));
                }
            }
            Ok(parsed) => {
                if let Some((group, name)) = group(&parsed) {
                    groups.entry(group).or_default().push((key, name));
                }
            }
        }
    }
    for (group, members) in groups {
        let names: Vec<String> = members.iter().map(|(_, name)| name.clone()).collect();
        let known = group.known(catalog, &names).await?;
        let unknown = members.into_iter().filter(|(_, name)| !known.contains(name));
        flaws.extend(unknown.map(|(key, name)| {
            let (kind, detail) = flaw(group);
            let subject = match group {
                // One for all that a push has left.
                Group::Staging => format!("staging/{name}/"),
                _ => key.clone(),
            };
            Flaw::new(kind, subject, detail, key.clone())
        }));
    }
    let mut seen = HashSet::new();
    flaws.retain(|flaw| seen.insert((flaw.kind, flaw.subject.clone())));
    Ok(flaws)
}

/// A key as a finding has it.
fn shown(key: &str) -> String {
    key.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(1024)
        .collect()
}

/// What it means when the database does not know an object.
fn flaw(group: Group) -> (Kind, &'static str) {
    match group {
        Group::Narinfo => (
            Kind::UnknownNarinfo,
            "readers find a path that the database does not have",
        ),
        Group::Listing => (Kind::UnknownListing, "of a path that the database does not have"),
        Group::Nar => (Kind::UnknownNar, "a NAR that the database does not have"),
        Group::Log => (Kind::UnknownLog, "a build log that the database does not have"),
        Group::Realisation => (
            Kind::UnknownRealisation,
            "a realisation that the database does not have",
        ),
        Group::DebugInfo => (
            Kind::UnknownDebugInfo,
            "debug information that the database does not have",
        ),
        Group::Pin => (Kind::UnknownPin, "there is no such pin"),
        Group::Staging => (
            Kind::AbandonedUpload,
            "what a push has left that is over; a garbage collection deletes it",
        ),
    }
}

/// Uploads in parts that nobody knows.
pub(super) async fn uploads(check: &Check<'_>) -> Result<(), Error> {
    if check.shared.enter(Phase::Uploads).is_none() {
        return Ok(());
    }
    let mut uploads = check.app.bucket.uploads();
    while let Some(page) = uploads.page().await? {
        let ids: Vec<String> = page.iter().map(|upload| upload.id.clone()).collect();
        let look = || async { Ok(check.app.catalog.known_uploads(&ids).await?) };
        let (mut tx, known) = check.under_write_lock(look).await?;
        let flaws = page
            .into_iter()
            .filter(|upload| !known.contains(&upload.id))
            .filter_map(|upload| {
                let key = upload.abandoned(now())?;
                let subject = format!("{}?uploadId={}", upload.key, shown(&upload.id));
                let detail = "an upload in parts that no push knows";
                Some(Flaw::new(
                    Kind::AbandonedUpload,
                    subject,
                    detail,
                    (key, upload.id),
                ))
            })
            .collect();
        let found = check.note(&mut tx, flaws).await?;
        tx.commit().await?;
        if check.request.repair {
            for finding in found {
                let (key, id) = &finding.flaw.of;
                let aborted = match check.app.bucket.abort_multipart(key, id).await {
                    Ok(()) | Err(StorageError::NotFound) => Ok(()),
                    Err(error) => Err(Error::from(error)),
                };
                check.tried(&[finding.id], aborted).await?;
            }
        }
    }
    Ok(())
}
