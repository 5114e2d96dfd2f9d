//! `POST /pushes/{id}/multipart-uploads/{multipart}/parts`

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _};

use super::types::{Part, Parts, PartsAnswer, UploadTarget};
use super::{App, Error, Identity, change, find_open, limits, multipart, uploads};
use crate::catalog::{Announced, MultipartId, MultipartState, PartRow};
use crate::http::wire;
use crate::push_limits::{MAX_BATCH, MAX_PARTS, URL_LIFETIME};
use crate::storage::StorageError;

/// Parts, typed, each number once.
pub(super) fn parse(parts: &[Part], part_size: i64) -> Result<Vec<PartRow>, Error> {
    let mut rows: Vec<PartRow> = Vec::with_capacity(parts.len());
    for part in parts {
        if !(1..=MAX_PARTS).contains(&u64::from(part.number)) {
            return Err(Error::invalid(
                "parts.number",
                format!("parts are numbered 1 to {MAX_PARTS}"),
            ));
        }
        let size = wire::size("parts.size", part.size, part_size.unsigned_abs())?;
        if size == 0 {
            return Err(Error::invalid("parts.size", "a part has at least one byte"));
        }
        let sha256 = *wire::file_hash("parts.sha256", &part.sha256)?.as_bytes();
        let number = i64::from(part.number);
        if rows.iter().rev().take(MAX_BATCH).any(|row| row.number == number) {
            return Err(Error::invalid(
                "parts.number",
                format!("part {number} is named twice"),
            ));
        }
        rows.push(PartRow { number, size, sha256 });
    }
    Ok(rows)
}

pub(super) async fn parts(
    app: &App,
    who: &Identity,
    id: &str,
    multipart_id: MultipartId,
    body: Parts,
    base: Option<&str>,
) -> Result<PartsAnswer, Error> {
    let push = find_open(app, who, id).await?;
    let (multipart, key) = multipart::find(app, who, multipart_id).await?;
    let announced = parse(wire::list("parts", &body.parts, MAX_BATCH)?, multipart.part_size)?;
    let claims = app
        .catalog
        .claims_by_contents(push.id, multipart.nar_hash, multipart.nar_size);
    if claims.await?.is_empty() {
        return Err(multipart::other_contents());
    }
    let before = app.catalog.parts(multipart.id).await?;
    let all_known = announced
        .iter()
        .all(|part| before.get(&part.number) == Some(part));
    let all_there = || PartsAnswer {
        parts: announced.iter().map(|_| UploadTarget::default()).collect(),
    };
    let ended = || Error::conflict("this upload in parts has ended: begin again, fresh");
    match multipart.state {
        MultipartState::Open => {}
        // Another request finished it: every part has arrived.
        MultipartState::Completed if all_known => return Ok(all_there()),
        MultipartState::Completed | MultipartState::GivenUp => return Err(ended()),
    }
    // Only a part announced before can have arrived, so a fresh upload asks nothing.
    let arrived: HashMap<u32, u64> = if announced.iter().any(|part| before.contains_key(&part.number)) {
        match app.bucket.list_parts(&key, &multipart.upload_id).await {
            Ok(listed) => listed.into_iter().map(|part| (part.number, part.size)).collect(),
            // Another request has made one object of them, or is about to say so.
            Err(StorageError::NotFound) if all_known => return Ok(all_there()),
            Err(StorageError::NotFound) => return Err(ended()),
            Err(error) => return Err(error.into()),
        }
    } else {
        HashMap::new()
    };
    let mut tx = change(app, &push).await?;
    let most = limits::largest_nar(multipart.nar_size);
    match tx.announce_parts(multipart.id, &announced, most).await? {
        Announced::Taken(bytes) => {
            tx.count_announced(push.id, bytes).await?;
            limits::check(app, who, &push, &mut tx).await?;
            tx.commit().await?;
        }
        Announced::TooLarge => return Err(limits::too_large_nar("parts.size", multipart.nar_size)),
        Announced::Closed if all_known => return Ok(all_there()),
        Announced::Closed => return Err(ended()),
        Announced::Other(number) => {
            return Err(Error::conflict(format!(
                "part {number} was announced with other bytes: begin again, fresh"
            )));
        }
    }
    tracing::debug!(
        push = push.token,
        multipart = multipart.id.get(),
        parts = announced.len(),
        "parts announced"
    );
    let key = &key;
    let upload_id = multipart.upload_id.as_str();
    let (before, arrived) = (&before, &arrived);
    let targets = futures::stream::iter(body.parts)
        .map(|part| async move {
            let known = before.contains_key(&i64::from(part.number));
            if known && arrived.get(&part.number) == Some(&part.size) {
                return Ok::<_, Error>(UploadTarget::default());
            }
            let sha256 = wire::file_hash("parts.sha256", &part.sha256)?;
            let checksum = uploads::checksum(app, "parts.md5", sha256, part.md5.as_ref())?;
            let request = app
                .bucket
                .presign_part(
                    key,
                    upload_id,
                    part.number,
                    part.size,
                    &checksum,
                    URL_LIFETIME,
                    base,
                )
                .await?;
            Ok(UploadTarget {
                url: Some(request.url),
                headers: request.headers.into_iter().collect(),
            })
        })
        .buffered(16)
        .try_collect()
        .await?;
    Ok(PartsAnswer { parts: targets })
}
