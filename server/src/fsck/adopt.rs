//! Mending what the bucket has and the database has not: what readers can use is taken
//! into the database, where it goes when the retention says; what nobody can use is deleted.

use niks3_nix::narinfo::{Compression, NarInfo, NarUrl};
use niks3_nix::realisation::{BuildTraceEntry, Realisation};
use niks3_nix::store_path::{StorePath, StorePathHash};

use super::check::Check;
use super::paths::MAX_TEXT;
use super::{Kind, contents, nars};
use crate::catalog::{Adopted, Realised, Standing, User, WriteTx};
use crate::http::problem::Problem;
use crate::pins;
use crate::signing::KeyChoice;
use crate::storage::{Attempt, ObjectKey, REQUEST_LIFETIME};

/// Findings that are read at once.
const PAGE: i64 = 200;

pub(super) async fn run(check: &Check<'_>) -> Result<(), Problem> {
    let left = narinfos(check).await?;
    each(check, Kind::UnknownRealisation, |key| realisation(check, key)).await?;
    each(check, Kind::UnknownListing, |key| listing(check, key)).await?;
    each(check, Kind::UnknownLog, |key| log(check, key)).await?;
    each(check, Kind::UnknownPin, |key| pin(check, key)).await?;
    if left == 0 {
        each(check, Kind::UnknownNar, |key| nar(check, key)).await?;
    }
    Ok(())
}

/// Mends every open finding of a kind; returns how many could not be.
async fn each<F>(check: &Check<'_>, kind: Kind, mend: impl Fn(ObjectKey) -> F) -> Result<u64, Problem>
where
    F: Future<Output = Result<(), Problem>>,
{
    let mut after = 0;
    let mut left = 0;
    loop {
        let mut tx = check.write().await?;
        let page = tx.open_findings(check.id, kind.as_str(), after, PAGE).await?;
        drop(tx);
        let Some((last, _)) = page.last() else {
            return Ok(left);
        };
        after = *last;
        for (id, subject) in page {
            let key = ObjectKey::parse(&subject).map_err(Problem::internal)?;
            let done = mend(key).await;
            left += u64::from(done.is_err());
            check.tried(&[id], done).await?;
        }
    }
}

/// Takes in narinfos until none is left whose references are all known.
async fn narinfos(check: &Check<'_>) -> Result<u64, Problem> {
    let began_at = check.app.catalog.task_began_at(check.id).await?;
    let mut before = u64::MAX;
    loop {
        let left = each(check, Kind::UnknownNarinfo, |key| narinfo(check, key, began_at)).await?;
        if left == 0 || left == before {
            return Ok(left);
        }
        before = left;
    }
}

fn not(why: impl Into<String>) -> Problem {
    Problem::conflict(why.into())
}

async fn narinfo(check: &Check<'_>, key: ObjectKey, pushed_at: i64) -> Result<(), Problem> {
    let (text, found) = read(check, &key).await?;
    let nar = ObjectKey::parse(&found.nar_key).map_err(Problem::internal)?;
    if check.request.contents {
        let user = User {
            path_id: 0,
            path: found.path.clone(),
            nar_hash: found.nar_hash,
            nar_size: found.nar_size,
        };
        let most = found.nar_size.unsigned_abs();
        let contents = contents::hashes(check.app, &nar, most)
            .await?
            .ok_or_else(|| not(format!("{} is not there", nar.as_str())))?;
        let wrong = nars::corrupt(&nar, &contents);
        if let Some(why) = wrong.or_else(|| nars::misdescribed(&contents.nar, most, &user)) {
            return Err(not(format!("{}: {why}", nar.as_str())));
        }
    }
    let look = || async {
        let same = check.app.bucket.read(&key, MAX_TEXT).await?.as_ref() == Some(&text);
        let nar = check.app.bucket.head(&nar).await?;
        let there = nar.is_some_and(|meta| meta.size == found.file_size.unsigned_abs());
        Ok(same && there && is_absent(check, &key).await?)
    };
    let (mut tx, fits) = check.gated(look).await?;
    if !fits {
        return Err(not(format!("{} or its NAR is not as it was", key.as_str())));
    }
    for reference in found.references.iter().filter(|path| **path != found.path) {
        if !tx.may_be_referred_to(reference).await? {
            return Err(not(format!(
                "{} refers to {reference}, which is not in the cache",
                found.path
            )));
        }
    }
    if !tx.adopt(&found, pushed_at).await? {
        return Err(not(format!("{} was pushed meanwhile", found.path)));
    }
    tx.commit().await?;
    Ok(())
}

/// A narinfo that this server could have written.
async fn read(check: &Check<'_>, key: &ObjectKey) -> Result<(Vec<u8>, Adopted), Problem> {
    let text = check
        .app
        .bucket
        .read(key, MAX_TEXT)
        .await?
        .ok_or_else(|| not(format!("{} is gone", key.as_str())))?;
    let info = std::str::from_utf8(&text)
        .map_err(|_| not("it is no text"))
        .and_then(|text| {
            NarInfo::parse(&check.app.store_dir, text).map_err(|error| not(error.to_string()))
        })?;
    if ObjectKey::narinfo(&info.store_path.hash()) != *key {
        return Err(not(format!("it is that of {}", info.store_path)));
    }
    // Signing what nobody has checked would be more than to mend.
    let Some(keys) = check.app.signer.signed_by(&check.app.store_dir, &info) else {
        return Err(not("no key of this server has signed it"));
    };
    let (Some(file_hash), Some(file_size)) = (info.file_hash, info.file_size) else {
        return Err(not("it does not say what its file is"));
    };
    if info.compression != Compression::ZSTD || info.url != NarUrl::of_file(&file_hash, &Compression::ZSTD) {
        return Err(not("its NAR is not where this server puts them"));
    }
    let adopted = Adopted {
        nar_key: ObjectKey::nar(file_hash).as_str().to_owned(),
        file_size: i64::try_from(file_size).map_err(Problem::internal)?,
        nar_hash: info.nar_hash,
        nar_size: i64::try_from(info.nar_size).map_err(Problem::internal)?,
        references: info.references.iter().cloned().collect(),
        deriver: info.deriver.clone(),
        sigs: info
            .sigs
            .iter()
            .map(|signature| signature.as_str().to_owned())
            .collect(),
        ca: info.ca.as_ref().map(ToString::to_string),
        // Only this server has the keys, so it has signed these contents.
        signed_by: check.app.signer.chosen_names(&keys),
        keys,
        path: info.store_path,
    };
    Ok((text, adopted))
}

/// Whether nobody has pushed the path of a narinfo or listing.
async fn is_absent(check: &Check<'_>, key: &ObjectKey) -> Result<bool, Problem> {
    let hash = key.as_str().split('.').next().unwrap_or_default();
    let _: StorePathHash = hash
        .parse()
        .map_err(|_| Problem::internal("a key without a hash part"))?;
    let known = check.app.catalog.known_hashes(&[hash.to_owned()]).await?;
    Ok(known.get(hash) != Some(&Standing::Known))
}

async fn realisation(check: &Check<'_>, key: ObjectKey) -> Result<(), Problem> {
    let look = || async {
        let name = [key.as_str().to_owned()];
        let unknown = check.app.catalog.known_realisations(&name).await?.is_empty();
        Ok((unknown, check.app.bucket.read(&key, MAX_TEXT).await?))
    };
    let (mut tx, (unknown, text)) = check.gated(look).await?;
    let (true, Some(text)) = (unknown, text) else {
        return Ok(());
    };
    let body = String::from_utf8(text).unwrap_or_default();
    let path: Option<StorePath> = if key.as_str().starts_with("realisations/") {
        Realisation::parse(body.as_bytes())
            .ok()
            .map(|realisation| realisation.out_path().clone())
    } else {
        BuildTraceEntry::parse(body.as_bytes())
            .ok()
            .map(|entry| entry.out_path().clone())
    };
    if let Some(path) = path
        && let Some(path_id) = tx.committed(&path).await?
    {
        tx.add_realisation(&Realised {
            key: key.as_str().to_owned(),
            path_id,
            body,
            keys: KeyChoice::none(),
        })
        .await?;
        tx.commit().await?;
        return Ok(());
    }
    delete(check, tx, &key).await
}

async fn listing(check: &Check<'_>, key: ObjectKey) -> Result<(), Problem> {
    let look = || async { is_absent(check, &key).await };
    let (tx, absent) = check.gated(look).await?;
    if absent {
        delete(check, tx, &key).await?;
    }
    Ok(())
}

/// Deletes an object while nobody can begin to write one of that key.
async fn delete(check: &Check<'_>, gate: WriteTx, key: &ObjectKey) -> Result<(), Problem> {
    match check.app.bucket.attempt(key, None).await {
        Attempt::Done => Ok(()),
        Attempt::Refused(why) => Err(not(why)),
        Attempt::Unknown(why) => {
            tokio::time::sleep(REQUEST_LIFETIME).await;
            drop(gate);
            Err(not(why))
        }
    }
}

async fn log(check: &Check<'_>, key: ObjectKey) -> Result<(), Problem> {
    let drv = key.as_str().trim_start_matches("log/").to_owned();
    let look = || async { Ok(check.app.bucket.head(&key).await?) };
    let (mut tx, found) = check.gated(look).await?;
    if let Some(meta) = found {
        tx.adopt_log(&drv, i64::try_from(meta.size).map_err(Problem::internal)?)
            .await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn nar(check: &Check<'_>, key: ObjectKey) -> Result<(), Problem> {
    let look = || async { Ok(check.app.bucket.head(&key).await?) };
    let (mut tx, found) = check.gated(look).await?;
    if let Some(meta) = found {
        tx.adopt_nar(key.as_str(), i64::try_from(meta.size).map_err(Problem::internal)?)
            .await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn pin(check: &Check<'_>, key: ObjectKey) -> Result<(), Problem> {
    let name = key.as_str().trim_start_matches("pins/").to_owned();
    let mut tx = check.write().await?;
    tx.pin_changed(&name).await?;
    tx.commit().await?;
    pins::settle(check.app, &name).await
}
