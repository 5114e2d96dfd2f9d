//! `POST /pushes/{id}/uploads`

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _};
use niks3_nix::hash::FileHash;

use super::announced::{Content, Item, Named, parse, record};
use super::types::{Upload, UploadTarget, Uploads, UploadsAnswer};
use super::{App, Error, Identity, find_open};
use crate::catalog::{ArrivedObject, ObjectId, ObjectRow, PathId, Push};
use crate::compression::Packing;
use crate::http::wire;
use crate::push;
use crate::push_limits::{MAX_BATCH, URL_LIFETIME};
use crate::storage::{Checksum, ChecksumKind, ObjectKey};
use crate::verification::Job;

/// Questions to the bucket under way at once, for one request.
const CONCURRENCY: usize = 32;

/// Pushes in whose staging areas a NAR is looked for.
const EARLIER: u32 = 2;

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
    let uploads = body.uploads.iter();
    let named: Vec<Named<'_>> = uploads.clone().map(Named::of_upload).collect::<Result<_, _>>()?;
    let items = parse(app, &push, "uploads", &named).await?;
    let checksums: Vec<Checksum> = uploads
        .zip(&named)
        .map(|(upload, named)| checksum(app, "uploads.md5", named.sha256, upload.md5.as_ref()))
        .collect::<Result<_, _>>()?;
    let mut objects = record(app, who, &push, &items).await?;
    if app.checksum == ChecksumKind::Md5 {
        take_over(app, &push, &items, &mut objects).await?;
    }
    if !push.exempt {
        announce_to_verify(app, &push, &items, &objects);
    }
    let (objects, push) = (&objects, &push);
    let targets: Vec<UploadTarget> = futures::stream::iter(items.into_iter().zip(checksums))
        .map(|(item, checksum)| async move { target(app, push, &item, &checksum, objects, base).await })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    Ok(UploadsAnswer { uploads: targets })
}

impl<'r> Named<'r> {
    fn of_upload(upload: &'r Upload) -> Result<Self, Error> {
        Ok(Self {
            kind: upload.kind,
            path: &upload.path,
            sha256: wire::file_hash("uploads.sha256", &upload.sha256)?,
            size: upload.size,
            body: Vec::new(),
        })
    }
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
    checksum: &Checksum,
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
        .presign_put(&item.key, item.size.unsigned_abs(), checksum, URL_LIFETIME, base)
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
