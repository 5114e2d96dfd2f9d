//! NARs: in the bucket, of the right size and of the right bytes; and paths that say something else of an intact NAR.
//!
//! A NAR is intact if its SHA-256 is the file hash that the database has for its key. What paths say of its contents is
//! the word of whoever pushed them: it is no reason to touch the NAR, or any other path that has it.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt as _, TryStreamExt as _};
use niks3_base::error::Error;
use niks3_base::nar_contents::{Contents, Flaw as NarFlaw, Nar, Wanted, wanted_of};
use niks3_catalog::{CheckedObject, FindingId, ObjectId, PathId, User};
use niks3_nix::ca::ContentAddress;
use niks3_storage::ObjectKey;

use super::check::{Check, Flaw, Found};
use super::{Kind, Phase};
use crate::deletion::await_deletion;
use crate::push;
use crate::verification::{check_content_address, read_object};
use crate::write_lock::UNDER_WRITE_LOCK;

/// NARs that are looked at together.
const PAGE: i64 = 500;
/// NARs that are read at once.
const READERS: usize = 2;
/// Paths that one transaction withdraws: a NAR can have any number of them.
const WITHDRAWN: usize = 500;

/// What is to be done about a NAR.
#[derive(Debug, Clone)]
enum About {
    /// It is not there.
    Lost(ObjectId),
    /// It is there, and has to go.
    Corrupt(ObjectId, String),
    /// It is right, and has so many bytes.
    Resize(ObjectId, i64),
    /// It was replaced while it was read.
    Replaced,
}

/// What was read of a NAR.
struct Seen {
    etag: String,
    size: u64,
    /// Why its bytes are not those that its key names.
    corrupt: Option<String>,
    /// Hash and size of the NAR in it, or why there is none of at most `most` bytes.
    nar: Result<Nar, NarFlaw>,
    most: u64,
}

pub(super) async fn run(check: &Check<'_>) -> Result<(), Error> {
    let Some(after) = check.shared.enter(Phase::Nars) else {
        return Ok(());
    };
    let mut after: ObjectId = after.parse().unwrap_or_default();
    loop {
        let page = check.app.catalog.checked_objects(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        let looked_at = page.len() as u64;
        let sizes = sizes(check, &page).await?;
        let ids: Vec<ObjectId> = page.iter().map(|object| object.id).collect();
        let users = check.app.catalog.users_of(&ids).await?;
        let mut reads = Vec::new();
        for (object, size) in page.iter().zip(&sizes) {
            // One that no path has is read only where its size tells that something is wrong.
            let users = users.get(&object.id).map_or(&[][..], Vec::as_slice);
            if let Some(size) = size
                && ((check.request.contents && !users.is_empty()) || *size != object.size.unsigned_abs())
            {
                reads.push(read(check, object, users));
            }
        }
        let seen: HashMap<ObjectId, Seen> = futures::stream::iter(reads)
            .buffer_unordered(READERS)
            .try_filter_map(|seen| async { Ok(seen) })
            .try_collect()
            .await?;
        let suspects: Vec<ObjectId> = page
            .iter()
            .zip(&sizes)
            .filter(|(object, size)| {
                **size != Some(object.size.unsigned_abs())
                    || seen.get(&object.id).is_some_and(|seen| seen.corrupt.is_some())
            })
            .map(|(object, _)| object.id)
            .collect();
        for ids in suspects.chunks(UNDER_WRITE_LOCK) {
            again(check, ids, &seen).await?;
        }
        for object in &page {
            if let (Some(users), Some(seen)) = (users.get(&object.id), seen.get(&object.id)) {
                misdescribing(check, object, users, seen).await?;
            }
        }
        check.shared.after(after, |counts| {
            counts.nars += looked_at;
            counts.nar_bytes += seen.values().map(|seen| seen.size).sum::<u64>();
        });
    }
}

async fn sizes(check: &Check<'_>, objects: &[CheckedObject]) -> Result<Vec<Option<u64>>, Error> {
    let keys = objects
        .iter()
        .map(|object| ObjectKey::parse(&object.key).map_err(Error::internal))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(check.app.bucket.sizes(keys).await?)
}

async fn read(
    check: &Check<'_>,
    object: &CheckedObject,
    users: &[User],
) -> Result<Option<(ObjectId, Seen)>, Error> {
    let key = ObjectKey::parse(&object.key).map_err(Error::internal)?;
    let most = users
        .iter()
        .map(|user| user.nar_size)
        .max()
        .unwrap_or_default()
        .unsigned_abs();
    let wanted: BTreeSet<Wanted> = users
        .iter()
        .filter_map(|user| wanted_of(user.ca.as_deref(), &user.path, user.refers_to_itself))
        .collect();
    let wanted: Vec<Wanted> = wanted.into_iter().collect();
    let read = read_object(&check.app.bucket, &key, object.packing, most, &wanted, true).await?;
    let Some((meta, contents)) = read else {
        return Ok(None);
    };
    let seen = Seen {
        corrupt: corrupt(object, &contents),
        etag: meta.etag,
        size: contents.file_size,
        nar: contents.nar,
        most,
    };
    Ok(Some((object.id, seen)))
}

/// Why the bytes of a NAR are not those that the database has of it.
fn corrupt(object: &CheckedObject, contents: &Contents) -> Option<String> {
    let known = object.file_hash?;
    (known != contents.file_hash).then(|| {
        format!(
            "its {} bytes have the SHA-256 {}",
            contents.file_size,
            contents.file_hash.base32()
        )
    })
}

/// What a path says wrongly of the contents of an intact NAR, in which one of at most `most` bytes was looked for.
fn misdescribed(nar: &Result<Nar, NarFlaw>, most: u64, user: &User) -> Option<(Kind, String)> {
    let expected = user.nar_size.unsigned_abs();
    let wrong_nar = |detail: String| Some((Kind::WrongNarHash, detail));
    match nar {
        Err(_) if expected > most => None,
        Err(why) => wrong_nar(format!(
            "{} should be a NAR of {expected} bytes, and its file has none: {why}",
            user.path
        )),
        Ok(nar) if nar.nar_hash == user.nar_hash && nar.nar_size == expected => {
            let detail = wrong_content_address(nar, user)?;
            Some((Kind::WrongContentAddress, detail))
        }
        Ok(nar) => wrong_nar(format!(
            "{} should be a NAR of {expected} bytes with the hash {}, and its file has one of {} bytes with the hash {}",
            user.path,
            user.nar_hash.base32(),
            nar.nar_size,
            nar.nar_hash.base32()
        )),
    }
}

/// What a path says wrongly of the content address of its NAR.
fn wrong_content_address(nar: &Nar, user: &User) -> Option<String> {
    let path = &user.path;
    let ca = match user.ca.as_deref()?.parse::<ContentAddress>() {
        Ok(ca) => ca,
        Err(error) => return Some(format!("of {path}: {error}")),
    };
    let hashes = (nar.nar_hash, nar.content_hashes.as_slice());
    // What its address needs is read, unless it has changed meanwhile: then the next check does.
    let found = check_content_address(&ca, path, user.refers_to_itself, hashes)?.err()?;
    Some(format!(
        "{path} should have the content address {ca}, and its NAR has {found}"
    ))
}

/// Finds the paths that say something else of an intact NAR, and withdraws them alone: what else has the NAR stays, and
/// so does the NAR. Whoever pushes such a path again brings it; what refers to it refers to what no reader could use.
async fn misdescribing(
    check: &Check<'_>,
    object: &CheckedObject,
    users: &[User],
    seen: &Seen,
) -> Result<(), Error> {
    if seen.corrupt.is_some() {
        return Ok(());
    }
    let wrong = |user: &User| misdescribed(&seen.nar, seen.most, user);
    let suspects: Vec<PathId> = users
        .iter()
        .filter(|user| wrong(user).is_some())
        .map(|user| user.path_id)
        .collect();
    let key = ObjectKey::parse(&object.key).map_err(Error::internal)?;
    for ids in suspects.chunks(WITHDRAWN) {
        let look = || async {
            let meta = check.app.bucket.head(&key).await?;
            if meta.is_none_or(|meta| meta.etag != seen.etag) {
                return Ok(Vec::new());
            }
            let now = check.app.catalog.users_among(object.id, ids).await?;
            let flaws = now.iter().filter_map(|user| {
                let subject = ObjectKey::narinfo(&user.path.hash());
                let (kind, detail) = wrong(user)?;
                Some(Flaw::new(kind, subject.as_str(), detail, user.path_id))
            });
            Ok(flaws.collect())
        };
        let (mut tx, flaws) = check.under_write_lock(look).await?;
        let found = check.note(&mut tx, flaws).await?;
        let paths: Vec<PathId> = found.iter().map(|finding| finding.flaw.of).collect();
        if check.request.repair {
            tx.withdraw_paths(&paths).await?;
        }
        tx.commit().await?;
        if check.request.repair {
            let settled = await_deletion::paths(check.app, &paths).await;
            let findings: Vec<FindingId> = found.iter().map(|finding| finding.id).collect();
            check.tried(&findings, settled).await?;
        }
    }
    Ok(())
}

/// Looks again under the write lock, and does there what is to be done in the database.
async fn again(check: &Check<'_>, ids: &[ObjectId], seen: &HashMap<ObjectId, Seen>) -> Result<(), Error> {
    let look = || look(check, ids, seen);
    let (mut tx, flaws) = check.under_write_lock(look).await?;
    let found = check.note(&mut tx, flaws).await?;
    if !check.request.repair {
        tx.commit().await?;
        return Ok(());
    }
    let mut withdrawn = Vec::new();
    let mut resized = Vec::new();
    for finding in &found {
        match &finding.flaw.of {
            About::Lost(id) => {
                tx.object_lost(*id).await?;
                withdrawn.push(tx.withdraw(*id).await?);
            }
            About::Corrupt(id, _) => {
                tx.object_corrupt(*id).await?;
                withdrawn.push(tx.withdraw(*id).await?);
            }
            About::Resize(id, size) => {
                tx.resize_object(*id, *size).await?;
                resized.push(*id);
            }
            About::Replaced => {}
        }
    }
    tx.commit().await?;
    await_deletion::paths(check.app, &withdrawn.concat()).await?;
    let users = check.app.catalog.users_of(&resized).await?;
    for finding in found {
        let done = mend(check, &finding, &users).await;
        check.tried(&[finding.id], done).await?;
    }
    Ok(())
}

async fn mend(
    check: &Check<'_>,
    finding: &Found<About>,
    users: &HashMap<ObjectId, Vec<User>>,
) -> Result<(), Error> {
    match &finding.flaw.of {
        About::Lost(_) => Ok(()),
        About::Replaced => Err(Error::conflict("a NAR was replaced while it was read")),
        About::Corrupt(_, key) => await_deletion::objects(check.app, std::slice::from_ref(key)).await,
        About::Resize(id, _) => {
            let paths = users.get(id).into_iter().flatten().map(|user| user.path_id);
            let paths: Vec<PathId> = paths.collect();
            push::republish(check.app, check.identity, &paths).await.map(drop)
        }
    }
}

async fn look(
    check: &Check<'_>,
    ids: &[ObjectId],
    seen: &HashMap<ObjectId, Seen>,
) -> Result<Vec<Flaw<About>>, Error> {
    let objects = check.app.catalog.checked_objects_among(ids).await?;
    let users = check.app.catalog.users_of(ids).await?;
    let mut flaws = Vec::new();
    for object in objects {
        let key = ObjectKey::parse(&object.key).map_err(Error::internal)?;
        let meta = check.app.bucket.head(&key).await?;
        let names = match users.get(&object.id) {
            Some(users) if users.len() > 1 => format!("of {} and {} more", users[0].path, users.len() - 1),
            Some(users) => format!("of {}", users[0].path),
            None => "of nothing".to_owned(),
        };
        let Some(meta) = meta else {
            let detail = format!("the NAR {names} is not in the bucket");
            let about = About::Lost(object.id);
            flaws.push(Flaw::new(Kind::MissingNar, key.as_str(), detail, about));
            continue;
        };
        let seen = seen.get(&object.id).filter(|seen| seen.etag == meta.etag);
        if let Some(why) = seen.and_then(|seen| seen.corrupt.as_ref()) {
            let detail = format!("the NAR {names}: {why}");
            let about = About::Corrupt(object.id, object.key.clone());
            flaws.push(Flaw::new(Kind::WrongHash, key.as_str(), detail, about));
        } else if meta.size != object.size.unsigned_abs() {
            let detail = format!(
                "the NAR {names} has {} bytes instead of {}",
                meta.size, object.size
            );
            let about = match (seen, i64::try_from(meta.size)) {
                (Some(_), Ok(size)) => About::Resize(object.id, size),
                _ => About::Replaced,
            };
            flaws.push(Flaw::new(Kind::WrongSize, key.as_str(), detail, about));
        }
    }
    Ok(flaws)
}
