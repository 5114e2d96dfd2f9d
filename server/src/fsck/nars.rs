//! NARs: there, of the right size, and of the right bytes.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _};

use super::check::{Check, Flaw, Found};
use super::contents::{self, Contents};
use super::{Kind, Phase};
use crate::catalog::{CheckedObject, User};
use crate::gate::GATED;
use crate::gc;
use crate::http::problem::Problem;
use crate::push;
use crate::storage::ObjectKey;

/// NARs that are looked at together.
const PAGE: i64 = 500;
/// NARs that are read at once.
const READERS: usize = 2;

/// What is to be done about a NAR.
#[derive(Debug, Clone)]
enum About {
    /// It is not there.
    Lost(i64),
    /// It is there, and has to go.
    Corrupt(i64, String),
    /// It is right, and has so many bytes.
    Resize(i64, i64),
}

/// What was read of a NAR.
struct Seen {
    etag: String,
    size: u64,
    /// What is wrong with its bytes.
    wrong: Option<String>,
}

pub(super) async fn run(check: &Check<'_>) -> Result<(), Problem> {
    let Some(after) = check.shared.enter(Phase::Nars) else {
        return Ok(());
    };
    let mut after: i64 = after.parse().unwrap_or_default();
    loop {
        let page = check.app.catalog.checked_objects(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        let looked_at = page.len() as u64;
        let sizes = sizes(check, &page).await?;
        let ids: Vec<i64> = page.iter().map(|object| object.id).collect();
        let users = check.app.catalog.users_of(&ids).await?;
        let mut reads = Vec::new();
        for (object, size) in page.iter().zip(&sizes) {
            // What no path has is left to garbage collection.
            if let (Some(users), Some(size)) = (users.get(&object.id), size)
                && (check.request.contents || *size != object.size.unsigned_abs())
            {
                reads.push(read(check, object, users));
            }
        }
        let seen: HashMap<i64, Seen> = futures::stream::iter(reads)
            .buffer_unordered(READERS)
            .try_filter_map(|seen| async { Ok(seen) })
            .try_collect()
            .await?;
        let suspects: Vec<i64> = page
            .iter()
            .zip(&sizes)
            .filter(|(object, size)| {
                **size != Some(object.size.unsigned_abs())
                    || seen.get(&object.id).is_some_and(|seen| seen.wrong.is_some())
            })
            .map(|(object, _)| object.id)
            .collect();
        for ids in suspects.chunks(GATED) {
            again(check, ids, &seen).await?;
        }
        check.shared.after(after, |counts| {
            counts.nars += looked_at;
            counts.nar_bytes += seen.values().map(|seen| seen.size).sum::<u64>();
        });
    }
}

async fn sizes(check: &Check<'_>, objects: &[CheckedObject]) -> Result<Vec<Option<u64>>, Problem> {
    let keys = objects
        .iter()
        .map(|object| ObjectKey::parse(&object.key).map_err(Problem::internal))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(check.app.bucket.sizes(keys).await?)
}

async fn read(
    check: &Check<'_>,
    object: &CheckedObject,
    users: &[User],
) -> Result<Option<(i64, Seen)>, Problem> {
    let key = ObjectKey::parse(&object.key).map_err(Problem::internal)?;
    let most = users
        .iter()
        .map(|user| user.nar_size)
        .max()
        .unwrap_or_default()
        .unsigned_abs();
    let Some(contents) = contents::hashes(check.app, &key, most).await? else {
        return Ok(None);
    };
    let seen = Seen {
        wrong: wrong(&key, &contents, users),
        etag: contents.meta.etag,
        size: contents.file_size,
    };
    Ok(Some((object.id, seen)))
}

/// What is wrong with the bytes of a NAR.
pub(super) fn wrong(key: &ObjectKey, contents: &Contents, users: &[User]) -> Option<String> {
    if ObjectKey::nar(contents.file_hash) != *key {
        return Some(format!(
            "its {} bytes have the SHA-256 {}",
            contents.file_size,
            contents.file_hash.base32()
        ));
    }
    match &contents.nar {
        Err(why) => Some(format!("it cannot be decompressed: {why}")),
        Ok((hash, size)) => users
            .iter()
            .find(|user| user.nar_hash != *hash || user.nar_size.unsigned_abs() != *size)
            .map(|user| {
                format!(
                    "it holds a NAR of {size} bytes with the hash {}, and {} is to have {} bytes and {}",
                    hash.base32(),
                    user.path,
                    user.nar_size,
                    user.nar_hash.base32()
                )
            }),
    }
}

/// Looks again with the gate held, and does there what is to be done in the database.
async fn again(check: &Check<'_>, ids: &[i64], seen: &HashMap<i64, Seen>) -> Result<(), Problem> {
    let look = || look(check, ids, seen);
    let (mut tx, flaws) = check.gated(look).await?;
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
        }
    }
    tx.commit().await?;
    gc::settle::paths(check.app, &withdrawn.concat()).await?;
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
    users: &HashMap<i64, Vec<User>>,
) -> Result<(), Problem> {
    match &finding.flaw.of {
        About::Lost(_) => Ok(()),
        About::Corrupt(_, key) => gc::settle::objects(check.app, std::slice::from_ref(key)).await,
        About::Resize(id, _) => {
            let paths = users.get(id).into_iter().flatten().map(|user| user.path_id);
            let paths: Vec<i64> = paths.collect();
            push::republish(check.app, check.identity, &paths).await.map(drop)
        }
    }
}

async fn look(
    check: &Check<'_>,
    ids: &[i64],
    seen: &HashMap<i64, Seen>,
) -> Result<Vec<Flaw<About>>, Problem> {
    let objects = check.app.catalog.checked_objects_among(ids).await?;
    let users = check.app.catalog.users_of(ids).await?;
    let mut flaws = Vec::new();
    for object in objects {
        let key = ObjectKey::parse(&object.key).map_err(Problem::internal)?;
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
        if let Some(why) = seen.and_then(|seen| seen.wrong.as_ref()) {
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
                _ => About::Corrupt(object.id, object.key.clone()),
            };
            flaws.push(Flaw::new(Kind::WrongSize, key.as_str(), detail, about));
        }
    }
    Ok(flaws)
}
