//! `POST /pushes/{id}/multipart-uploads/{multipart}/complete`

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use niks3_nix::hash::FileHash;
use sha2::{Digest as _, Sha256};

use super::types::{CompleteMultipart, Empty};
use super::{App, Identity, Problem, change, find_open, multipart, parts, uploads, wire_error};
use crate::catalog::{Multipart, MultipartState, PartRow};
use crate::http::wire;
use crate::push::{MAX_NAR, MAX_PARTS, PART_SIZE};
use crate::storage::{CompletedPart, GetOptions, GetResult, ObjectKey, StorageError};

/// Runs to its end even if the client goes away: what it began it finishes.
pub(super) async fn complete(
    app: &Arc<App>,
    who: Identity,
    id: String,
    multipart_id: i64,
    body: CompleteMultipart,
) -> Result<Empty, Problem> {
    let app = app.clone();
    let work = async move { run(&app, &who, &id, multipart_id, body).await };
    crate::http::request_id::spawn(work).await.map_err(wire_error)?
}

async fn run(
    app: &App,
    who: &Identity,
    id: &str,
    multipart_id: i64,
    body: CompleteMultipart,
) -> Result<Empty, Problem> {
    let push = find_open(app, who, id).await?;
    let (multipart, staging) = multipart::find(app, who, multipart_id).await?;
    let file_hash = wire::file_hash("file_hash", &body.file_hash)?;
    let file_size = wire::size("file_size", body.file_size, MAX_NAR)?;
    let announced = parts::parse(
        wire::list("parts", &body.parts, MAX_PARTS as usize)?,
        multipart.part_size,
    )?;
    check_shape(&announced, file_size, multipart.part_size)?;
    if file_size.unsigned_abs() <= PART_SIZE {
        return Err(Problem::invalid(
            "file_size",
            format!("up to {PART_SIZE} bytes go up in one piece"),
        ));
    }
    let path = app
        .catalog
        .claims_by_contents(push.id, multipart.nar_hash)
        .await?;
    if path.is_empty() {
        return Err(Problem::conflict(
            "the push claims no path with the contents of this upload",
        ));
    }
    let key = ObjectKey::nar(file_hash);
    let object_id = match multipart.state {
        MultipartState::Completed => {
            let known = app.catalog.parts(multipart.id).await?;
            if announced.len() != known.len()
                || !announced.iter().all(|part| known.get(&part.number) == Some(part))
            {
                return Err(Problem::conflict(
                    "this upload in parts had other parts: begin again, fresh",
                ));
            }
            multipart.object_id
        }
        MultipartState::GivenUp => {
            return Err(Problem::conflict(
                "this upload in parts was given up: begin another",
            ));
        }
        MultipartState::Open => {
            let wanted = HashMap::from([(key.as_str().to_owned(), file_size)]);
            let mut tx = app.catalog.write().await?;
            let object = tx
                .objects(&wanted)
                .await?
                .remove(key.as_str())
                .ok_or_else(|| Problem::internal("no row"))?;
            tx.commit().await?;
            if object.present && object.size != file_size {
                let detail = format!("{file_hash} is known with {} bytes, not {file_size}", object.size);
                return Err(Problem::conflict(detail));
            }
            if object.present {
                app.bucket.abort_multipart(&staging, &multipart.upload_id).await?;
            } else if app.bucket.head(&staging).await?.is_none()
                && uploads::arrived(app, &key, file_size).await?
            {
                // It was moved, and the process died before it could say so.
            } else {
                let work = async {
                    assemble(app, &multipart, &staging, &announced, file_size).await?;
                    check_whole(app, &multipart, &staging, file_hash).await?;
                    Ok::<_, Problem>(
                        app.bucket
                            .promote(&staging, &key, file_size.unsigned_abs())
                            .await?,
                    )
                };
                if let Err(problem) = work.await {
                    // Whoever completes the same upload at the same time takes it away under this one.
                    if !completed_by_another(app, multipart.id).await? {
                        return Err(problem);
                    }
                }
                app.bucket.tidy(multipart::STAGING).await?;
            }
            app.bucket.sync().await?;
            let mut tx = app.catalog.write().await?;
            tx.objects_arrived(&[(object.id, file_size)]).await?;
            tx.end_multipart(multipart.id, Some(object.id)).await?;
            tx.commit().await?;
            object.id
        }
    };
    let mut tx = change(app, &push).await?;
    tx.set_nars(
        push.id,
        &path
            .iter()
            .map(|path_id| (*path_id, object_id))
            .collect::<Vec<_>>(),
    )
    .await?;
    tx.commit().await?;
    Ok(Empty {})
}

/// Parts 1, 2, 3, … of one size but for the last, which add up.
fn check_shape(parts: &[PartRow], file_size: i64, part_size: i64) -> Result<(), Problem> {
    let in_order = parts
        .iter()
        .zip(1_i64..)
        .all(|(part, number)| part.number == number);
    let full = parts.iter().rev().skip(1).all(|part| part.size == part_size);
    if parts.is_empty() || !in_order || !full {
        return Err(Problem::invalid(
            "parts",
            "every part is needed, in order, all of one size but the last",
        ));
    }
    if parts.iter().map(|part| part.size).sum::<i64>() != file_size {
        return Err(Problem::invalid("file_size", "the parts add up to another size"));
    }
    Ok(())
}

/// Waits a little for another request to complete the upload.
async fn completed_by_another(app: &App, multipart_id: i64) -> Result<bool, Problem> {
    for _ in 0..40 {
        let state = app
            .catalog
            .multipart(multipart_id)
            .await?
            .map(|found| found.state);
        match state {
            Some(MultipartState::Completed) => return Ok(true),
            Some(MultipartState::Open) => tokio::time::sleep(std::time::Duration::from_millis(250)).await,
            _ => return Ok(false),
        }
    }
    Ok(false)
}

/// S3 checked every part, but the hash in the name of the whole is the client's word:
/// the staged object is read once, so that nobody can put other bytes under that name.
async fn check_whole(
    app: &App,
    multipart: &Multipart,
    staging: &ObjectKey,
    file_hash: FileHash,
) -> Result<(), Problem> {
    let GetResult::Found(object) = app.bucket.get(staging, &GetOptions::default()).await? else {
        return Err(Problem::conflict(
            "the object store has lost what the parts made: begin again, fresh",
        ));
    };
    let mut body = object.body;
    let mut hasher = Sha256::new();
    while let Some(chunk) = body.next().await {
        hasher.update(&chunk?);
    }
    let found = FileHash::from_bytes(hasher.finalize().into());
    if found == file_hash {
        return Ok(());
    }
    let mut tx = app.catalog.write().await?;
    tx.end_multipart(multipart.id, None).await?;
    tx.commit().await?;
    app.bucket.delete_many(std::slice::from_ref(staging)).await;
    Err(Problem::invalid(
        "file_hash",
        format!("the parts make {found}, not {file_hash}"),
    ))
}

/// Makes one object of the parts, unless that was done before an answer was lost.
async fn assemble(
    app: &App,
    multipart: &Multipart,
    staging: &ObjectKey,
    parts: &[PartRow],
    file_size: i64,
) -> Result<(), Problem> {
    let known = app.catalog.parts(multipart.id).await?;
    let listed = match app.bucket.list_parts(staging, &multipart.upload_id).await {
        Ok(listed) => listed,
        Err(StorageError::NotFound) => {
            if uploads::arrived(app, staging, file_size).await? {
                return Ok(());
            }
            return Err(Problem::conflict(
                "the object store has lost this upload in parts: begin another",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let listed: HashMap<i64, _> = listed
        .into_iter()
        .map(|part| (i64::from(part.number), part))
        .collect();
    let mut missing = Vec::new();
    let mut completed = Vec::with_capacity(parts.len());
    for part in parts {
        match listed.get(&part.number) {
            Some(found)
                if found.size == part.size.unsigned_abs() && known.get(&part.number) == Some(part) =>
            {
                completed.push(CompletedPart {
                    number: found.number,
                    etag: found.etag.clone(),
                    sha256: part.sha256,
                });
            }
            _ => missing.push(format!("part {}", part.number)),
        }
    }
    if !missing.is_empty() {
        missing.truncate(1000);
        return Err(Problem::conflict("some parts have not arrived").with_missing(missing));
    }
    app.bucket
        .complete_multipart(staging, &multipart.upload_id, &completed)
        .await?;
    if !uploads::arrived(app, staging, file_size).await? {
        return Err(Problem::conflict(
            "the object store made something else of the parts: begin again, fresh",
        ));
    }
    Ok(())
}
