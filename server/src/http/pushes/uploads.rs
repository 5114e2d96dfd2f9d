//! `POST /pushes/{id}/uploads`

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _};
use niks3_nix::hash::FileHash;
use niks3_nix::store_path::StorePath;

use super::types::{Upload, UploadKind, UploadTarget, Uploads, UploadsAnswer};
use super::{App, Error, Identity, change, find_open, limits};
use crate::catalog::{
    ArrivedObject, Claim, ClaimKind, NewObject, ObjectId, ObjectRow, PathId, Push, UploadedNar, WriteTx,
};
use crate::compression::Packing;
use crate::deletion::await_deletion;
use crate::http::wire;
use crate::nar_contents::{Wanted, wanted_of};
use crate::push;
use crate::push_limits::{MAX_BATCH, MAX_LISTING, MAX_LOG, PART_SIZE, URL_LIFETIME};
use crate::storage::{Checksum, ChecksumKind, ObjectKey};
use crate::verification::Job;

/// Questions to the bucket under way at once, for one request.
const CONCURRENCY: usize = 32;

/// Pushes in whose staging areas a NAR is looked for.
const EARLIER: u32 = 2;

/// One upload of the request, typed.
struct Item {
    /// What the URL writes.
    key: ObjectKey,
    size: i64,
    sha256: FileHash,
    checksum: Checksum,
    content: Content,
}

enum Content {
    Nar {
        claim: Claim,
        key: ObjectKey,
        wanted: Option<Wanted>,
    },
    Listing {
        claim: Claim,
    },
    Log {
        drv: StorePath,
    },
}

pub(super) async fn uploads(
    app: &App,
    who: &Identity,
    id: &str,
    body: Uploads,
    base: Option<&str>,
) -> Result<UploadsAnswer, Error> {
    let push = find_open(app, who, id).await?;
    wire::list("uploads", &body.uploads, MAX_BATCH)?;
    for hash in wire::list("arrived", &body.arrived, MAX_BATCH)? {
        let hash = wire::file_hash("arrived", hash)?;
        let key = ObjectKey::nar(hash);
        app.verifications.arrived_from(key.as_str(), &push.identity);
    }
    if body.uploads.is_empty() {
        return Ok(UploadsAnswer { uploads: Vec::new() });
    }
    let mut seen = HashSet::with_capacity(body.uploads.len());
    if let Some(twice) = body
        .uploads
        .iter()
        .find(|upload| !seen.insert((upload.kind, &upload.path)))
    {
        return Err(Error::invalid(
            "uploads",
            format!("{:?} of {} is named twice", twice.kind, twice.path),
        ));
    }
    let items = parse(app, &push, &body.uploads).await?;
    let mut objects = record(app, who, &push, &items).await?;
    if app.checksum == ChecksumKind::Md5 {
        take_over(app, &push, &items, &mut objects).await?;
    }
    if !push.exempt {
        announce_to_verify(app, &push, &items, &objects);
    }
    let (objects, push) = (&objects, &push);
    let targets: Vec<UploadTarget> = futures::stream::iter(items)
        .map(|item| async move { target(app, push, &item, objects, base).await })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    Ok(UploadsAnswer { uploads: targets })
}

/// What the object store checks an upload against.
pub(super) fn checksum(
    app: &App,
    field: &str,
    sha256: FileHash,
    md5: Option<&String>,
) -> Result<Checksum, Error> {
    match (app.checksum, md5) {
        (ChecksumKind::Sha256, _) => Ok(Checksum::Sha256(*sha256.as_bytes())),
        (ChecksumKind::Md5, Some(md5)) => Ok(Checksum::Md5(wire::md5(field, md5)?)),
        (ChecksumKind::Md5, None) => Err(Error::invalid(
            field,
            "the object store behind this server checks MD5, so it is needed",
        )),
    }
}

/// Has NARs read as soon as they have arrived.
fn announce_to_verify(app: &App, push: &Push, items: &[Item], objects: &HashMap<String, ObjectRow>) {
    let mut jobs: HashMap<ObjectId, Job> = HashMap::new();
    for item in items {
        let Content::Nar { claim, key, wanted } = &item.content else {
            continue;
        };
        let Some(object) = objects.get(key.as_str()).filter(|object| !object.present) else {
            continue;
        };
        let job = jobs.entry(object.id).or_insert_with(|| Job {
            object_id: object.id,
            key: key.clone(),
            size: item.size.unsigned_abs(),
            file_hash: Some(item.sha256),
            packing: Packing::UPLOADED,
            identity: push.identity.clone(),
            most: 0,
            wanted: Vec::new(),
        });
        job.merge(claim.nar_size.unsigned_abs(), *wanted);
    }
    for job in jobs.into_values() {
        app.verifications.announce(job);
    }
}

async fn parse(app: &App, push: &Push, uploads: &[Upload]) -> Result<Vec<Item>, Error> {
    let paths: Vec<StorePath> = uploads
        .iter()
        .map(|upload| wire::store_path("uploads.path", &upload.path))
        .collect::<Result<_, _>>()?;
    let claims = app.catalog.claims_of(push.id, &paths).await?;
    let logged: Vec<String> = uploads
        .iter()
        .zip(&paths)
        .filter(|(upload, _)| upload.kind == UploadKind::Log)
        .map(|(_, path)| path.to_string())
        .collect();
    let derivers = app.catalog.derivers_among(push.id, &logged).await?;
    uploads
        .iter()
        .zip(paths)
        .map(|(upload, path)| {
            let sha256 = wire::file_hash("uploads.sha256", &upload.sha256)?;
            let checksum = checksum(app, "uploads.md5", sha256, upload.md5.as_ref())?;
            let claimed = || {
                claims
                    .get(&path)
                    .filter(|claim| claim.kind == ClaimKind::Needed)
                    .cloned()
                    .ok_or_else(|| {
                        Error::invalid(
                            "uploads.path",
                            format!("{path} is not a path that this push has to upload"),
                        )
                    })
            };
            // Named after the path as well: paths with equal listings do not share one.
            let staging =
                || ObjectKey::staging(&push.token, &format!("{}.{}", path.hash_part(), sha256.base32()));
            let (key, most, content) = match upload.kind {
                UploadKind::Nar => {
                    let key = ObjectKey::nar(sha256);
                    let claim = claimed()?;
                    let content = Content::Nar {
                        wanted: wanted_of(claim.ca.as_deref(), &path, claim.refers_to_itself),
                        claim,
                        key,
                    };
                    (push::upload_key(app, &push.token, sha256), PART_SIZE, content)
                }
                UploadKind::Listing => (staging(), MAX_LISTING, Content::Listing { claim: claimed()? }),
                UploadKind::Log if derivers.contains(path.as_str()) => {
                    (staging(), MAX_LOG, Content::Log { drv: path })
                }
                UploadKind::Log if path.is_derivation() => {
                    return Err(Error::invalid(
                        "uploads.path",
                        format!("{path} is not the deriver of a path that this push claims"),
                    ));
                }
                UploadKind::Log => {
                    return Err(Error::invalid(
                        "uploads.path",
                        format!("{path} is not a derivation, so it has no log"),
                    ));
                }
            };
            let size = wire::size("uploads.size", upload.size, most)?;
            match &content {
                Content::Nar { claim, .. } => limits::nar("uploads.size", size, claim.nar_size)?,
                Content::Listing { claim } => limits::listing("uploads.size", size, claim.nar_size)?,
                Content::Log { .. } => {}
            }
            Ok(Item {
                key,
                size,
                sha256,
                checksum,
                content,
            })
        })
        .collect()
}

/// Bytes of the objects that a request announces and that the push has not announced before, each once.
#[derive(Default)]
struct Announced<'i> {
    keys: HashSet<&'i str>,
    bytes: u64,
}

impl<'i> Announced<'i> {
    fn add(&mut self, item: &'i Item, new: bool) {
        if new && self.keys.insert(item.key.as_str()) {
            self.bytes = self.bytes.saturating_add(item.size.unsigned_abs());
        }
    }
}

/// Records what is about to be uploaded, before any URL for it exists.
async fn record(
    app: &App,
    who: &Identity,
    push: &Push,
    items: &[Item],
) -> Result<HashMap<String, ObjectRow>, Error> {
    let mut wanted = HashMap::new();
    for item in items {
        let Content::Nar { key, .. } = &item.content else {
            continue;
        };
        if wanted
            .insert(
                key.as_str().to_owned(),
                NewObject::uploaded(item.size, item.sha256),
            )
            .is_some_and(|other| other.size != item.size)
        {
            return Err(Error::invalid(
                "uploads.size",
                format!("two sizes for {}", item.sha256),
            ));
        }
    }
    let (mut tx, objects) = announce(app, push, &wanted).await?;
    let mut nars = Vec::new();
    let mut listings = Vec::new();
    let mut logs = BTreeMap::new();
    let mut announced = Announced::default();
    for item in items {
        match &item.content {
            Content::Nar { claim, key, .. } => {
                let object = &objects[key.as_str()];
                if object.present && object.size != item.size {
                    let detail = format!(
                        "{} is known with {} bytes, not {}",
                        item.sha256, object.size, item.size
                    );
                    return Err(Error::conflict(detail));
                }
                announced.add(item, !object.present && claim.object_id != object.id);
                nars.push(UploadedNar {
                    path_id: claim.path_id,
                    nar_hash: claim.nar_hash,
                    nar_size: claim.nar_size,
                    object_id: object.id,
                });
            }
            // The server makes the listings of what it reads.
            Content::Listing { .. } if !push.exempt => {}
            Content::Listing { claim } => {
                announced.add(item, claim.listing != item.key.as_str());
                listings.push((claim.path_id, item.key.as_str().to_owned(), item.size));
            }
            Content::Log { drv } => {
                logs.insert(drv.to_string(), (item.key.as_str().to_owned(), item.size));
            }
        }
    }
    if !tx.set_nars(push.id, &nars).await? {
        return Err(Error::conflict(
            "the push has claimed other contents for one of these paths meanwhile",
        ));
    }
    tx.set_listings(push.id, &listings).await?;
    let new_logs = tx.set_logs(push.id, &logs).await?;
    for item in items {
        if let Content::Log { drv } = &item.content {
            announced.add(item, new_logs.contains(drv.as_str()));
        }
    }
    tx.count_announced(push.id, announced.bytes).await?;
    limits::check(app, who, push, &mut tx).await?;
    tx.commit().await?;
    Ok(objects)
}

/// The rows of NARs, inside a transaction that changes the push. None of them is being
/// deleted: what is written there stays.
pub(super) async fn announce(
    app: &App,
    push: &Push,
    wanted: &HashMap<String, NewObject>,
) -> Result<(WriteTx, HashMap<String, ObjectRow>), Error> {
    loop {
        let mut tx = change(app, push).await?;
        let objects = tx.objects(wanted).await?;
        let doomed: Vec<String> = objects
            .iter()
            .filter(|(_, object)| object.deleting)
            .map(|(key, _)| key.clone())
            .collect();
        if doomed.is_empty() {
            return Ok((tx, objects));
        }
        drop(tx);
        await_deletion::objects(app, &doomed).await?;
    }
}

/// Puts in their places the NARs that pushes of the same identity before this one have
/// staged, and died over.
async fn take_over(
    app: &App,
    push: &Push,
    items: &[Item],
    objects: &mut HashMap<String, ObjectRow>,
) -> Result<(), Error> {
    let mut waiting = HashMap::new();
    for item in items {
        if let Content::Nar { claim, key, .. } = &item.content
            && let Some(object) = objects.get(key.as_str())
            && !object.present
            && !object.new
        {
            let staged = (key.as_str().to_owned(), item.sha256, EARLIER);
            waiting.insert((claim.path_id, object.id), staged);
        }
    }
    let path_ids: Vec<PathId> = waiting.keys().map(|(path_id, _)| *path_id).collect();
    let before = app.catalog.announced_before(push, &path_ids).await?;
    let staged = before.into_iter().filter_map(|(path_id, object_id, token)| {
        let (key, hash, left) = waiting.get_mut(&(path_id, object_id))?;
        *left = left.checked_sub(1)?;
        Some((key.clone(), object_id, *hash, token))
    });
    let staged: Vec<_> = staged.collect();
    let placed: Vec<Option<(String, ObjectId, u64)>> = futures::stream::iter(staged)
        .map(|(key, object_id, hash, token)| async move {
            let size = push::place(app, &token, hash).await?;
            Ok::<_, Error>(size.map(|size| (key, object_id, size)))
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut arrived = Vec::new();
    for (key, object_id, size) in placed.into_iter().flatten() {
        let size = i64::try_from(size).map_err(Error::internal)?;
        if let Some(object) = objects.get_mut(&key)
            && !object.present
        {
            object.present = true;
            arrived.push(ArrivedObject {
                id: object_id,
                key,
                size,
            });
        }
    }
    push::note_arrived(app, push.id, &arrived).await
}

async fn target(
    app: &App,
    push: &Push,
    item: &Item,
    objects: &HashMap<String, ObjectRow>,
    base: Option<&str>,
) -> Result<UploadTarget, Error> {
    if !push.exempt && matches!(item.content, Content::Listing { .. }) {
        // The server makes it when it reads the NAR.
        return Ok(UploadTarget::default());
    }
    if let Content::Nar { key, .. } = &item.content
        && let Some(object) = objects.get(key.as_str())
    {
        if object.present {
            return Ok(UploadTarget::default());
        }
        // An earlier push may have sent it without anybody hearing of it.
        let sent = !object.new && arrived(app, &item.key, item.size).await?;
        if sent {
            app.verifications.arrived(key.as_str());
            return Ok(UploadTarget::default());
        }
    }
    let request = app
        .bucket
        .presign_put(
            &item.key,
            item.size.unsigned_abs(),
            &item.checksum,
            URL_LIFETIME,
            base,
        )
        .await?;
    Ok(UploadTarget {
        url: Some(request.url),
        headers: request.headers.into_iter().collect(),
    })
}

/// Whether the bucket has the object with that size.
pub(super) async fn arrived(app: &App, key: &ObjectKey, size: i64) -> Result<bool, Error> {
    Ok(app
        .bucket
        .head(key)
        .await?
        .is_some_and(|meta| meta.size == size.unsigned_abs()))
}
