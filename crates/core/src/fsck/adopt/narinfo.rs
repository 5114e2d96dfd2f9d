//! Narinfos: each after those that it refers to.

use std::collections::HashSet;

use bytes::Bytes;
use niks3_base::compression::{Codec, Packing};
use niks3_base::error::Error;
use niks3_base::nar_contents::{PackedListing, Verdict, wanted_of};
use niks3_base::push_limits::MAX_LISTING;
use niks3_base::signing::KeyChoice;
use niks3_catalog::{Adopted, HashStatus, NewVerification, ObjectId, PathId, Publishable, now};
use niks3_nix::narinfo::NarInfo;
use niks3_nix::store_path::{StorePath, StorePathHash};
use niks3_storage::{Meta, ObjectKey};

use super::super::Kind;
use super::super::check::Check;
use super::super::paths::MAX_TEXT;
use super::{State, delete, is_absent, refused};
use crate::verification::{compare, read_object};

/// A narinfo that can be read, signed by a key that counts.
struct Candidate {
    text: Vec<u8>,
    info: NarInfo,
    /// Unix time at which it was written.
    written_at: i64,
    keys: KeyChoice,
    nar: ObjectKey,
    compression: Codec,
}

/// A narinfo that waits for those that it refers to.
struct Frame {
    hash: StorePathHash,
    candidate: Option<Box<Candidate>>,
}

/// What became of a narinfo.
enum Fate {
    /// The database has it, or there is none.
    Settled,
    /// It has no NAR, and was removed; why.
    Removed(String),
    /// It can be adopted.
    Candidate(Box<Candidate>),
}

/// Adopts a narinfo, and before it those that it refers to, however deep.
pub(super) async fn with_references(
    check: &Check<'_>,
    state: &mut State,
    root: StorePathHash,
) -> Result<(), Error> {
    let frame = |hash| Frame {
        hash,
        candidate: None,
    };
    let mut stack = vec![frame(root)];
    // Those of the stack that wait for others.
    let mut waiting = HashSet::new();
    while let Some(Frame { hash, candidate }) = stack.pop() {
        if state.refused.contains(&hash) || state.planned.contains(&hash) {
            continue;
        }
        let key = ObjectKey::narinfo(&hash);
        let found = match candidate {
            Some(candidate) => Ok(Fate::Candidate(candidate)),
            None => begin(check, state, &key, hash).await,
        };
        let done = match found {
            Ok(Fate::Settled) => Ok(String::new()),
            Ok(Fate::Removed(why)) => Ok(why),
            Err(problem) => Err(problem),
            Ok(Fate::Candidate(candidate)) if waiting.insert(hash) => {
                let needed = needed(check, state, &candidate).await?;
                stack.push(Frame {
                    hash,
                    candidate: Some(candidate),
                });
                // What waits itself refers to this one through others: that is found out when it is adopted.
                let needed = needed.into_iter().filter(|other| !waiting.contains(other));
                stack.extend(needed.map(frame));
                continue;
            }
            Ok(Fate::Candidate(candidate)) => {
                // What it refers to has been dealt with.
                waiting.remove(&hash);
                let done = adopt(check, state, &candidate).await;
                if done.is_err() {
                    state.belongs_to_refused(&candidate.info);
                }
                done
            }
        };
        match &done {
            Err(_) => drop(state.refused.insert(hash)),
            Ok(_) if check.request.dry_run => drop(state.planned.insert(hash)),
            Ok(_) => {}
        }
        check.settle(Kind::UnknownNarinfo, &key, done).await?;
    }
    Ok(())
}

/// Reads a narinfo, and finds out whether it can be adopted.
async fn begin(
    check: &Check<'_>,
    state: &mut State,
    key: &ObjectKey,
    hash: StorePathHash,
) -> Result<Fate, Error> {
    if !is_absent(check, &hash).await? {
        return Ok(Fate::Settled);
    }
    let Some((meta, text)) = check.app.bucket.read_with_meta(key, MAX_TEXT).await? else {
        return Ok(Fate::Settled);
    };
    let parsed = std::str::from_utf8(&text)
        .map_err(|_| "it is not text, in no compression that Nix knows".to_owned())
        .and_then(|text| NarInfo::parse(&check.app.store_dir, text).map_err(|error| error.to_string()))
        .and_then(|info| match ObjectKey::narinfo(&info.store_path.hash()) == *key {
            true => Ok(info),
            false => Err(format!("it is the narinfo of {}", info.store_path)),
        });
    let info = parsed.map_err(|why| {
        state.unreadable = true;
        refused(why)
    })?;
    let candidate = match judge(check, state, &info).await {
        Ok((nar, compression, keys)) => Candidate {
            // A clock that is ahead makes nothing live longer.
            written_at: Some(meta.last_modified)
                .filter(|time| *time > 0)
                .unwrap_or_else(now)
                .min(now()),
            text,
            info,
            keys,
            nar,
            compression,
        },
        Err(Obstacle::LostNar(nar)) => return lost_nar(check, state, key, &text, &info, &nar).await,
        Err(Obstacle::Failed(problem)) => {
            state.belongs_to_refused(&info);
            return Err(problem);
        }
    };
    Ok(Fate::Candidate(Box::new(candidate)))
}

/// What keeps a narinfo from being adopted.
enum Obstacle {
    LostNar(ObjectKey),
    Failed(Error),
}

impl From<Error> for Obstacle {
    fn from(problem: Error) -> Self {
        Self::Failed(problem)
    }
}

/// Where the NAR of a narinfo is, how it is compressed, and which keys have signed the narinfo.
async fn judge(
    check: &Check<'_>,
    state: &State,
    info: &NarInfo,
) -> Result<(ObjectKey, Codec, KeyChoice), Obstacle> {
    let nar = ObjectKey::parse(info.url.as_str())
        .ok()
        .filter(ObjectKey::is_nar)
        .ok_or_else(|| refused(format!("its URL {:?} is not below nar/", info.url.as_str())))?;
    if check.app.bucket.head(&nar).await.map_err(Error::from)?.is_none() {
        return Err(Obstacle::LostNar(nar));
    }
    let compression = info.compression.as_str();
    let compression = Codec::parse(compression)
        .ok_or_else(|| refused(format!("the compression {compression} is not supported")))?;
    let keys = signers(check, state, info)?;
    Ok((nar, compression, keys))
}

/// Which of this server's keys have signed a narinfo, or none where a trusted key has.
fn signers(check: &Check<'_>, state: &State, info: &NarInfo) -> Result<KeyChoice, Error> {
    let store_dir = &check.app.store_dir;
    if let Some(keys) = check.app.signer.signed_by(store_dir, info) {
        return Ok(keys);
    }
    let fingerprint = info.fingerprint(store_dir);
    let trusted = state.trusted.iter().any(|key| {
        info.sigs
            .iter()
            .any(|signature| key.verify(fingerprint.as_bytes(), signature))
    });
    if trusted {
        return Ok(KeyChoice::none());
    }
    let names: Vec<&str> = info.sigs.iter().map(|signature| signature.key_name()).collect();
    Err(refused(if names.is_empty() {
        "no key has signed it".to_owned()
    } else {
        format!(
            "no key of this server has signed it, only {}: adopt it with --trust-key if you trust that key",
            names.join(", ")
        )
    }))
}

/// Removes a narinfo whose NAR is gone, so that readers get a miss and build or fetch the path elsewhere instead of failing.
async fn lost_nar(
    check: &Check<'_>,
    state: &mut State,
    key: &ObjectKey,
    text: &[u8],
    info: &NarInfo,
    nar: &ObjectKey,
) -> Result<Fate, Error> {
    let gone = format!("its NAR {} is not in the bucket", nar.as_str());
    if !check.request.repair {
        return Err(refused(format!("{gone}: a repair removes the narinfo")));
    }
    let hash = info.store_path.hash();
    let look = || async {
        let same = check.app.bucket.read_text(key, MAX_TEXT).await?.as_deref() == Some(text);
        Ok(same && check.app.bucket.head(nar).await?.is_none() && is_absent(check, &hash).await?)
    };
    check.app.ownership.record().await?;
    let (held, fits) = check.under_write_lock(look).await?;
    if !fits {
        return Err(refused("it has changed meanwhile"));
    }
    let deleted = match delete(check, key).await {
        Ok(()) => delete(check, &ObjectKey::listing(&hash)).await,
        Err(problem) => Err(problem),
    };
    drop(held);
    if let Err(problem) = deleted {
        let why = problem.text();
        return Err(refused(format!(
            "{gone}, and the narinfo cannot be removed: {why}"
        )));
    }
    tracing::warn!(
        key = key.as_str(),
        nar = nar.as_str(),
        "a narinfo whose NAR is gone was removed"
    );
    state.removed.insert(info.store_path.clone());
    Ok(Fate::Removed(format!("{gone}: the narinfo was removed")))
}

/// The narinfos that a narinfo refers to and that have to be adopted before it.
async fn needed(
    check: &Check<'_>,
    state: &State,
    candidate: &Candidate,
) -> Result<Vec<StorePathHash>, Error> {
    let own = candidate.info.store_path.hash();
    let references = candidate.info.references.iter().map(|path| path.hash());
    let references: Vec<StorePathHash> = references.filter(|hash| *hash != own).collect();
    let names: Vec<String> = references.iter().map(|hash| hash.as_str().to_owned()).collect();
    let known = check.app.catalog.known_hashes(&names).await?;
    let unknown: Vec<StorePathHash> = references
        .into_iter()
        .filter(|hash| known.get(hash.as_str()) != Some(&HashStatus::Recorded))
        .filter(|hash| !state.refused.contains(hash) && !state.planned.contains(hash))
        .collect();
    let sizes = check
        .app
        .bucket
        .sizes(unknown.iter().map(ObjectKey::narinfo).collect())
        .await?;
    let there = unknown.into_iter().zip(sizes).filter(|(_, size)| size.is_some());
    Ok(there.map(|(hash, _)| hash).collect())
}

/// What reading a NAR has shown.
struct Seen {
    meta: Meta,
    contents: Option<(Verdict, PackedListing)>,
    adopted: Adopted,
}

async fn adopt(check: &Check<'_>, state: &State, candidate: &Candidate) -> Result<String, Error> {
    let app = check.app;
    let seen = read(check, state, candidate).await?;
    if check.request.dry_run {
        return Ok("it would be adopted".into());
    }
    let path = &candidate.info.store_path;
    let (key, listing) = (ObjectKey::narinfo(&path.hash()), ObjectKey::listing(&path.hash()));
    let look = || async {
        let same = app.bucket.read_text(&key, MAX_TEXT).await?.as_ref() == Some(&candidate.text);
        let nar = app.bucket.head(&candidate.nar).await?;
        let nar_same =
            nar.is_some_and(|nar| (nar.size, nar.etag) == (seen.meta.size, seen.meta.etag.clone()));
        let fits = same && nar_same && is_absent(check, &path.hash()).await?;
        Ok((fits, app.bucket.head(&listing).await?.is_some()))
    };
    let (mut tx, (fits, listed)) = check.under_write_lock(look).await?;
    if !fits {
        return Err(refused(format!(
            "{} or its NAR has changed meanwhile",
            key.as_str()
        )));
    }
    for reference in seen.adopted.references.iter().filter(|other| *other != path) {
        let left_out = seen.adopted.left_out.contains(reference) || state.removed.contains(reference);
        if !left_out && !tx.may_be_referred_to(reference).await? {
            return Err(refused(format!(
                "it refers to {reference}, which is not in the cache and could not be adopted"
            )));
        }
    }
    let Some(object_id) = tx.adopt(&seen.adopted, candidate.written_at).await? else {
        return Err(refused(format!(
            "{path} was pushed meanwhile, or its NAR is known with another compression"
        )));
    };
    if let Some((verdict, packed)) = seen.contents {
        if !listed {
            let most = usize::try_from(MAX_LISTING).map_err(Error::internal)?;
            let json = Codec::Zstd.decode(packed.packed, most).map_err(Error::internal)?;
            app.bucket.put(&listing, Bytes::from(json)).await?;
            app.bucket.sync().await?;
        }
        tx.add_verdicts(&[NewVerification {
            object_id,
            verdict,
            listing: PackedListing::default(),
        }])
        .await?;
    }
    tx.commit().await?;
    Ok(match seen.adopted.left_out.as_slice() {
        [] => String::new(),
        [path] => format!("adopted; it refers to {path}, which is not in the bucket"),
        [path, more @ ..] => format!(
            "adopted; it refers to {path} and {} more, which are not in the bucket",
            more.len()
        ),
    })
}

/// Reads the NAR of a narinfo, and compares it with what the narinfo says.
async fn read(check: &Check<'_>, state: &State, candidate: &Candidate) -> Result<Seen, Error> {
    let Candidate { info, nar, .. } = candidate;
    let gone = || refused(format!("{} is gone", nar.as_str()));
    let mut meta = check.app.bucket.head(nar).await?.ok_or_else(gone)?;
    let encoding = meta.content_encoding.as_deref().unwrap_or_default();
    let encoding = Codec::parse(encoding).ok_or_else(|| {
        refused(format!(
            "the Content-Encoding {encoding:?} of its NAR is not supported"
        ))
    })?;
    let packing = Packing {
        compression: candidate.compression,
        encoding,
    };
    let left_out = left_out(check, state, candidate).await?;
    let mut adopted = adoptable(check, candidate, packing, left_out)?;
    let refers_to_itself = info.references.contains(&info.store_path);
    if let Some(ca) = &info.ca {
        ca.check_path(&check.app.store_dir, &info.store_path, &info.references)
            .map_err(|error| refused(error.to_string()))?;
    }
    let mut contents = None;
    if check.request.contents || info.file_hash.is_none() {
        let wanted = wanted_of(adopted.ca.as_deref(), &info.store_path, refers_to_itself);
        let wanted: Vec<_> = wanted.into_iter().collect();
        let read = read_object(&check.app.bucket, nar, packing, info.nar_size, &wanted, true).await?;
        let (found, read) = read.ok_or_else(gone)?;
        if let Some(said) = info.file_hash.filter(|said| *said != read.file_hash) {
            return Err(refused(format!(
                "its FileHash is {said}, and {} has {}",
                nar.as_str(),
                read.file_hash
            )));
        }
        adopted.file_hash = Some(read.file_hash);
        meta = found;
        let (verdict, listing) = read.verdict(None);
        let offer = offer(&adopted, refers_to_itself);
        if let Some(Err(difference)) = compare(ObjectId::default(), &offer, &verdict) {
            return Err(refused(format!(
                "its NAR is not what it says ({}): it says {}, and {} has {}",
                difference.kind.as_str(),
                difference.claimed,
                nar.as_str(),
                difference.found
            )));
        }
        contents = Some((verdict, listing));
    }
    if let Some(said) = info.file_size.filter(|said| *said != meta.size) {
        return Err(refused(format!(
            "its FileSize is {said}, and {} has {} bytes",
            nar.as_str(),
            meta.size
        )));
    }
    adopted.file_size = i64::try_from(meta.size).map_err(Error::internal)?;
    Ok(Seen {
        meta,
        contents,
        adopted,
    })
}

/// What a narinfo refers to and the bucket has no narinfo of: whoever filled the bucket has left it out, as pushes do with
/// what an upstream cache has.
async fn left_out(check: &Check<'_>, state: &State, candidate: &Candidate) -> Result<Vec<StorePath>, Error> {
    let own = &candidate.info.store_path;
    let references: Vec<_> = candidate
        .info
        .references
        .iter()
        .filter(|path| *path != own && !state.removed.contains(*path))
        .cloned()
        .collect();
    let keys = references.iter().map(|path| ObjectKey::narinfo(&path.hash()));
    let sizes = check.app.bucket.sizes(keys.collect()).await?;
    let missing = references
        .into_iter()
        .zip(sizes)
        .filter(|(_, size)| size.is_none());
    Ok(missing.map(|(path, _)| path).collect())
}

fn adoptable(
    check: &Check<'_>,
    candidate: &Candidate,
    packing: Packing,
    left_out: Vec<StorePath>,
) -> Result<Adopted, Error> {
    let info = &candidate.info;
    Ok(Adopted {
        path: info.store_path.clone(),
        nar_hash: info.nar_hash,
        nar_size: i64::try_from(info.nar_size).map_err(|_| refused("its NarSize is out of range"))?,
        references: info.references.iter().cloned().collect(),
        left_out,
        deriver: info.deriver.clone(),
        sigs: info
            .sigs
            .iter()
            .map(|signature| signature.as_str().to_owned())
            .collect(),
        ca: info.ca.as_ref().map(ToString::to_string),
        // Only this server has the keys, so it has signed these contents.
        signed_by: check.app.signer.chosen_names(&candidate.keys),
        keys: candidate.keys.clone(),
        nar_key: candidate.nar.as_str().to_owned(),
        file_size: 0,
        file_hash: info.file_hash,
        packing,
    })
}

/// What a push of the path would offer.
fn offer(adopted: &Adopted, refers_to_itself: bool) -> Publishable {
    Publishable {
        path_id: PathId::default(),
        path: adopted.path.clone(),
        nar_hash: adopted.nar_hash,
        nar_size: adopted.nar_size,
        refs: if refers_to_itself {
            vec![PathId::default()]
        } else {
            Vec::new()
        },
        deriver: None,
        sigs: Vec::new(),
        ca: adopted.ca.clone(),
        nar_key: adopted.nar_key.clone(),
        file_size: adopted.file_size,
        file_hash: adopted.file_hash,
        packing: adopted.packing,
        listing: String::new(),
        listing_lost: false,
        listing_of_nar: false,
        listing_replaced: false,
        listing_size: 0,
        keys: KeyChoice::none(),
        publication: 0,
    }
}
