//! `POST /pushes/{id}/multipart-uploads`

use super::types::{Multipart as Answer, NewMultipart};
use super::{App, Error, Identity, find_open, limits};
use crate::catalog::{ClaimKind, Multipart, MultipartId, MultipartState, now};
use crate::http::wire;
use crate::push_limits::{MAX_PART, MAX_PARTS, PART_SIZE};
use crate::storage::ObjectKey;

/// Seconds without new parts after which another push of the same contents may give up an upload: far more than a
/// client takes between two parts.
const IDLE: i64 = 15 * 60;

pub(super) async fn begin(app: &App, who: &Identity, id: &str, body: NewMultipart) -> Result<Answer, Error> {
    let push = find_open(app, who, id).await?;
    let path = wire::store_path("path", &body.path)?;
    let claim = app
        .catalog
        .claim_of(push.id, &path)
        .await?
        .filter(|claim| claim.kind == ClaimKind::Needed);
    let claim = claim.ok_or_else(|| {
        Error::invalid(
            "path",
            format!("{path} is not a path that this push has to upload"),
        )
    })?;
    if !(PART_SIZE..=MAX_PART).contains(&body.part_size) {
        return Err(Error::invalid(
            "part_size",
            format!("a part has {PART_SIZE} to {MAX_PART} bytes"),
        ));
    }
    if claim.nar_size.unsigned_abs() / body.part_size >= MAX_PARTS {
        let detail = format!("{path} would need more than {MAX_PARTS} parts: make them larger");
        return Err(Error::invalid("part_size", detail));
    }
    let part_size = wire::size("part_size", body.part_size, MAX_PART)?;
    if !body.compressor.bytes().all(|byte| byte.is_ascii_graphic()) || body.compressor.is_empty() {
        return Err(Error::invalid(
            "compressor",
            "a name of visible ASCII characters is needed",
        ));
    }
    if !body.fresh {
        let resumable = app
            .catalog
            .resumable_multipart(
                claim.nar_hash,
                claim.nar_size,
                &body.compressor,
                &who.name(),
                part_size,
            )
            .await?;
        if let Some(found) = resumable {
            return Ok(Answer {
                id: found.id.get(),
                part_size: body.part_size,
            });
        }
    }
    // Its name is its own: nobody else writes there, and what the parts become stays where it is.
    let key = ObjectKey::nar_in_parts(claim.nar_hash, &rand::random());
    let mut new = Multipart {
        id: MultipartId::default(),
        nar_hash: claim.nar_hash,
        nar_size: claim.nar_size,
        compressor: body.compressor,
        identity: who.name(),
        part_size,
        key: key.as_str().to_owned(),
        upload_id: String::new(),
        state: MultipartState::Open,
        object_id: None,
        turn_until: 0,
    };
    let mut tx = app.catalog.write().await?;
    if body.fresh {
        tx.give_up_idle_multiparts(&new, now() - IDLE).await?;
    }
    limits::admit_multipart(app, who, claim.nar_size, tx)
        .await?
        .commit()
        .await?;
    new.upload_id = app.bucket.create_multipart(&key).await?;
    // Other requests may have begun as many meanwhile.
    let tx = app.catalog.write().await?;
    let mut tx = match limits::admit_multipart(app, who, claim.nar_size, tx).await {
        Ok(tx) => tx,
        Err(refused) => {
            app.bucket.abort_multipart(&key, &new.upload_id).await?;
            return Err(refused);
        }
    };
    let id = tx.add_multipart(&new).await?;
    tx.commit().await?;
    Ok(Answer {
        id: id.get(),
        part_size: body.part_size,
    })
}

/// 409: a push goes on only with uploads of what it claims.
pub(super) fn other_contents() -> Error {
    Error::conflict("the push claims no path with the contents of this upload")
}

/// The upload in parts of that id, which belongs to the caller, and the key of what it becomes.
pub(super) async fn find(
    app: &App,
    who: &Identity,
    id: MultipartId,
) -> Result<(Multipart, ObjectKey), Error> {
    let unknown = || Error::not_found(format!("there is no upload in parts {id}"));
    let multipart = app
        .catalog
        .multipart(id)
        .await?
        .filter(|found| who.owns(&found.identity))
        .ok_or_else(unknown)?;
    let key = ObjectKey::parse(&multipart.key).map_err(Error::internal)?;
    Ok((multipart, key))
}
