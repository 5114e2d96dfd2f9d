//! `POST /pushes/{id}/multipart-uploads/{multipart}/complete`

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use niks3_nix::hash::FileHash;

use super::types::{CompleteMultipart, Empty};
use super::{
    App, Error, Identity, announced, change, find_open, limits, multipart, parts, uploads, wire_error,
};
use crate::catalog::{
    ArrivedObject, Multipart, MultipartId, MultipartState, NewObject, NewVerification, ObjectId, ObjectRow,
    PartRow, PathId, Push, UploadedNar, WriteTx,
};
use crate::compression::Packing;
use crate::http::wire;
use crate::lease::Lease;
use crate::metrics::metrics;
use crate::nar_contents::{Contents, Wanted, wanted_of};
use crate::push_limits::{MAX_NAR, MAX_PARTS, PART_SIZE};
use crate::storage::{CompletedPart, ObjectKey, StorageError};
use crate::verification::read_object;

/// How long a turn lasts that is not renewed: what a dead process keeps others waiting.
const LEASE_SECONDS: i64 = 15;
/// First and longest pause between looks at what another request makes of the parts.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Runs to its end even if the client goes away: what it began it finishes.
pub(super) async fn complete(
    app: &Arc<App>,
    who: Identity,
    id: String,
    multipart_id: MultipartId,
    body: CompleteMultipart,
) -> Result<Empty, Error> {
    let app = app.clone();
    let work = async move { run(&app, &who, &id, multipart_id, body).await };
    crate::telemetry::spawn(work).await.map_err(wire_error)?
}

async fn run(
    app: &App,
    who: &Identity,
    id: &str,
    multipart_id: MultipartId,
    body: CompleteMultipart,
) -> Result<Empty, Error> {
    let push = find_open(app, who, id).await?;
    let (multipart, _) = multipart::find(app, who, multipart_id).await?;
    let file_hash = wire::file_hash("file_hash", &body.file_hash)?;
    let file_size = wire::size("file_size", body.file_size, MAX_NAR)?;
    let announced = parts::parse(
        wire::list("parts", &body.parts, MAX_PARTS as usize)?,
        multipart.part_size,
    )?;
    check_shape(&announced, file_size, multipart.part_size)?;
    if file_size.unsigned_abs() <= PART_SIZE {
        return Err(Error::invalid(
            "file_size",
            format!("up to {PART_SIZE} bytes go up in one piece"),
        ));
    }
    let paths = app
        .catalog
        .claims_by_contents(push.id, multipart.nar_hash, multipart.nar_size)
        .await?;
    if paths.is_empty() {
        return Err(multipart::other_contents());
    }
    limits::nar("file_size", file_size, multipart.nar_size)?;
    let wanted = paths
        .iter()
        .filter_map(|(path, claim)| wanted_of(claim.ca.as_deref(), path, claim.refers_to_itself));
    let whole = Whole {
        file_hash,
        file_size,
        parts: announced,
        wanted: wanted.collect(),
        nar_size: multipart.nar_size.unsigned_abs(),
        verify: !push.exempt,
        paths: paths.values().map(|claim| claim.path_id).collect(),
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let (multipart, key) = multipart::find(app, who, multipart_id).await?;
        match multipart.state {
            MultipartState::Completed => {
                take_over(app, &push, &multipart, &whole).await?;
                return Ok(Empty {});
            }
            MultipartState::GivenUp => {
                return Err(Error::conflict(
                    "this upload in parts was given up: begin another",
                ));
            }
            MultipartState::Open => {}
        }
        // Whoever has the turn keeps it by being at work, so this ends.
        if !multipart.completing() && take_turn(app, &push, &multipart, &key, &whole).await? {
            return Ok(Empty {});
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What the parts are said to make, and the claimed paths that are to have it.
struct Whole {
    file_hash: FileHash,
    file_size: i64,
    parts: Vec<PartRow>,
    paths: Vec<PathId>,
    /// The server reads it as a NAR of this size, and takes these hashes.
    verify: bool,
    nar_size: u64,
    wanted: Vec<Wanted>,
}

impl Whole {
    const fn object(&self) -> NewObject {
        NewObject::uploaded(self.file_size, self.file_hash)
    }

    fn nars(&self, multipart: &Multipart, object_id: ObjectId) -> Vec<UploadedNar> {
        let nar = |path_id: &PathId| UploadedNar {
            path_id: *path_id,
            nar_hash: multipart.nar_hash,
            nar_size: multipart.nar_size,
            object_id,
        };
        self.paths.iter().map(nar).collect()
    }
}

/// Another request has made an object of the same parts: it is taken if it is the one that they are said to make, and
/// still there.
async fn take_over(app: &App, push: &Push, multipart: &Multipart, whole: &Whole) -> Result<(), Error> {
    let known = app.catalog.parts(multipart.id).await?;
    let same = |part: &PartRow| known.get(&part.number) == Some(part);
    if whole.parts.len() != known.len() || !whole.parts.iter().all(same) {
        return Err(Error::conflict(
            "this upload in parts had other parts: begin again, fresh",
        ));
    }
    let mut tx = change(app, push).await?;
    let id = multipart.object_id.ok_or_else(vanished)?;
    let found = tx.object_as_said(id, whole.file_hash, whole.file_size).await?;
    let object = found.ok_or_else(vanished)?;
    if !tx.set_nars(push.id, &whole.nars(multipart, object.id)).await? {
        return Err(multipart::other_contents());
    }
    Ok(tx.commit().await?)
}

/// The row of the object that the parts are said to make, inside a transaction that changes the push: one that the server has
/// read, or else that of the upload's own key.
async fn announce(
    app: &App,
    push: &Push,
    key: &ObjectKey,
    whole: &Whole,
) -> Result<(WriteTx, ObjectRow), Error> {
    let new = whole.object();
    let mut tx = change(app, push).await?;
    if let Some(twin) = tx.read_object(new.file_hash, new.size).await? {
        return Ok((tx, twin));
    }
    drop(tx);
    let wanted = HashMap::from([(key.as_str().to_owned(), new)]);
    let (mut tx, mut objects) = announced::announce(app, push, &wanted).await?;
    let object = objects
        .remove(key.as_str())
        .ok_or_else(|| Error::internal("no row"))?;
    if !object.new {
        // A request before this one may have said something else.
        tx.describe_pending(object.id, &new).await?;
    }
    Ok((tx, object))
}

/// Makes one object of the parts, if it is this request's turn; false when it is not, or is
/// no longer. Several servers may be asked for the same at once: one of them does it, and
/// what one leaves undone another takes up when the turn has run out.
async fn take_turn(
    app: &App,
    push: &Push,
    multipart: &Multipart,
    key: &ObjectKey,
    whole: &Whole,
) -> Result<bool, Error> {
    let (mut tx, object) = announce(app, push, key, whole).await?;
    let turn = niks3_nix::base32::encode(&rand::random::<[u8; 20]>());
    if !tx.take_turn(multipart.id, &turn, LEASE_SECONDS).await? {
        return Ok(false);
    }
    // Before there is an object: from here on nothing collects it.
    if !tx.set_nars(push.id, &whole.nars(multipart, object.id)).await? {
        return Err(multipart::other_contents());
    }
    tx.commit().await?;

    let making = async {
        let made = if object.present {
            app.bucket.abort_multipart(key, &multipart.upload_id).await?;
            Made::Whole(None)
        } else {
            make(app, multipart, key, whole).await?
        };
        app.bucket.sync().await?;
        Ok(made)
    };
    let length = Duration::from_secs(LEASE_SECONDS.unsigned_abs());
    let lease = Lease {
        length,
        every: length / 5,
        ended_by_work: false,
        kind: "multipart upload",
        name: &turn,
    };
    let renew = || app.catalog.renew_turn(multipart.id, &turn, LEASE_SECONDS);
    match lease.hold(renew, making).await {
        Err(_) => Ok(false),
        Ok(Ok(Made::Whole(read))) => {
            // What the push has claimed may be collected once it is over. Another one that has the parts does this, too.
            let mut tx = match change(app, push).await {
                Ok(tx) => tx,
                Err(over) => {
                    app.catalog.give_back_turn(multipart.id, &turn).await?;
                    return Err(over);
                }
            };
            let (mut object_id, mut loser) = (object.id, None);
            // Another upload of the same bytes may have been faster.
            if let Some(twin) = tx.read_object(whole.file_hash, whole.file_size).await?
                && twin.id != object_id
            {
                if !tx.set_nars(push.id, &whole.nars(multipart, twin.id)).await? {
                    return Err(multipart::other_contents());
                }
                loser = Some(key.clone());
                object_id = twin.id;
            } else if !object.present {
                let arrived = ArrivedObject {
                    id: object_id,
                    key: key.as_str().to_owned(),
                    size: whole.file_size,
                };
                tx.objects_arrived(push.id, &[arrived]).await?;
                if let Some(contents) = read {
                    let (verdict, listing) = contents.verdict(None);
                    tx.add_verdicts(&[NewVerification {
                        object_id,
                        verdict,
                        listing,
                    }])
                    .await?;
                }
            }
            if !tx.end_turn(multipart.id, &turn, Some(object_id)).await? {
                return Ok(false);
            }
            tx.commit().await?;
            if !object.present {
                metrics().arrived(std::iter::once(whole.file_size));
            }
            if let Some(loser) = loser {
                // Where that fails, its row is still there, so a collection tries again.
                app.bucket.delete_many(&[loser]).await;
            }
            Ok(true)
        }
        Ok(Ok(Made::Other(found))) => {
            let mut tx = app.catalog.write().await?;
            if !tx.end_turn(multipart.id, &turn, None).await? {
                return Ok(false);
            }
            tx.commit().await?;
            app.bucket.delete_many(std::slice::from_ref(key)).await;
            Err(Error::invalid(
                "file_hash",
                format!("the parts make {found}, not {}", whole.file_hash),
            ))
        }
        // What failed because another one took over is not this one's failure.
        Ok(Err(problem)) => match app.catalog.give_back_turn(multipart.id, &turn).await? {
            true => Err(problem),
            false => Ok(false),
        },
    }
}

/// What the parts made.
enum Made {
    /// What was said, and it is where it belongs; what was read of it.
    Whole(Option<Box<Contents>>),
    /// Something else.
    Other(FileHash),
}

/// Goes on from wherever the request before stopped. Where uploads are verified, the whole is read once; otherwise the hash of the
/// file is the client's word, as its contents are, and nobody else's NAR is taken for it.
async fn make(app: &App, multipart: &Multipart, key: &ObjectKey, whole: &Whole) -> Result<Made, Error> {
    assemble(app, multipart, key, &whole.parts, whole.file_size).await?;
    if !whole.verify {
        return Ok(Made::Whole(None));
    }
    let _turn = app.verifications.turn().await.map_err(Error::internal)?;
    let read = read_object(
        &app.bucket,
        key,
        Packing::UPLOADED,
        whole.nar_size,
        &whole.wanted,
        true,
    )
    .await?;
    let (_, contents) = read.ok_or_else(vanished)?;
    metrics().nar_read(contents.file_size);
    Ok(match contents.file_hash == whole.file_hash {
        true => Made::Whole(Some(Box::new(contents))),
        false => Made::Other(contents.file_hash),
    })
}

/// Parts 1, 2, 3, … of one size but for the last, which add up.
fn check_shape(parts: &[PartRow], file_size: i64, part_size: i64) -> Result<(), Error> {
    let in_order = parts
        .iter()
        .zip(1_i64..)
        .all(|(part, number)| part.number == number);
    let full = parts.iter().rev().skip(1).all(|part| part.size == part_size);
    if parts.is_empty() || !in_order || !full {
        return Err(Error::invalid(
            "parts",
            "every part is needed, in order, all of one size but the last",
        ));
    }
    if parts.iter().map(|part| part.size).sum::<i64>() != file_size {
        return Err(Error::invalid("file_size", "the parts add up to another size"));
    }
    Ok(())
}

fn vanished() -> Error {
    Error::conflict("the object store has lost what the parts made: begin again, fresh")
}

fn upload_lost() -> Error {
    Error::conflict("the object store has lost this upload in parts: begin another")
}

/// Makes one object of the parts, unless that was done before an answer was lost.
async fn assemble(
    app: &App,
    multipart: &Multipart,
    key: &ObjectKey,
    parts: &[PartRow],
    file_size: i64,
) -> Result<(), Error> {
    let known = app.catalog.parts(multipart.id).await?;
    let listed = match app.bucket.list_parts(key, &multipart.upload_id).await {
        Ok(listed) => listed,
        Err(StorageError::NotFound) => {
            if uploads::arrived(app, key, file_size).await? {
                return Ok(());
            }
            return Err(upload_lost());
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
        return Err(Error::missing("some parts have not arrived", missing));
    }
    let completed = app
        .bucket
        .complete_multipart(key, &multipart.upload_id, &completed);
    match completed.await {
        Err(StorageError::NotFound) => return Err(upload_lost()),
        result => result?,
    }
    if !uploads::arrived(app, key, file_size).await? {
        return Err(Error::conflict(
            "the object store made something else of the parts: begin again, fresh",
        ));
    }
    Ok(())
}
