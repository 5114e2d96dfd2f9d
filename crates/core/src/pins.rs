//! The objects of pins, `pins/NAME`: written as the database has them by one path,
//! [`settle`], whatever happened before.
//!
//! Two servers may change a pin at once, and a request that nobody waits for any more
//! may still be on its way. So each change is noted in the database before anything is
//! sent, one request at a time is under way for a name, behind a fence, and the note
//! goes once the bucket has confirmed the last change. What a dead process left is
//! mended by the next operation on that name, the next garbage collection, the next
//! start, or `fsck --repair`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niks3_base::error::Error;
use niks3_catalog::{Pin, PinTurn, PinWrite, PinnedAs, now};
use niks3_nix::store_path::StorePath;
use niks3_storage::{Attempt, ObjectKey, REQUEST_LIFETIME};

use crate::app::App;
use crate::pin_name::PinName;
use crate::push;

/// How long a request waits for those of others.
const PATIENCE: Duration = Duration::from_secs(75);
/// How often it looks.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a request without a clear answer is repeated.
const ATTEMPTS: u32 = 4;
/// Seconds that a turn has before its request has to begin.
const SLACK: i64 = 10;
/// Names that are read at once.
const PAGE: i64 = 500;

/// Points a pin at a path of the cache.
///
/// # Errors
/// `Invalid` when the cache does not have the path; `Conflict` when another pin's name differs in upper and lower case
/// alone; `Unavailable` when the bucket does not take the
/// object, which the next operation then writes.
pub async fn create(app: &Arc<App>, name: &PinName, path: &StorePath) -> Result<Pin, Error> {
    let name = name.to_string();
    let mut tx = app.catalog.write().await?;
    if let Some(taken) = tx.pin_name_taken(&name).await? {
        return Err(taken.into());
    }
    let found = tx.set_pin(&name, path).await?;
    if found == PinnedAs::Nothing {
        return Err(Error::invalid(
            "path",
            format!("the cache does not have {path}: push it first"),
        ));
    }
    tx.commit().await?;
    tracing::info!(pin = name, path = path.as_str(), "pin set");
    if let PinnedAs::Publishing(id) = found {
        push::republish(app, "pins", &[id]).await?;
    }
    settle(app, &name).await?;
    app.catalog
        .pin(&name)
        .await?
        .ok_or_else(|| Error::conflict(format!("somebody else has deleted the pin {name} meanwhile")))
}

/// Deletes a pin.
///
/// # Errors
/// `NotFound` when there is none; `Unavailable` when the bucket does not delete the object, which the next
/// operation then does.
pub async fn delete(app: &Arc<App>, name: &PinName) -> Result<(), Error> {
    let name = name.to_string();
    let mut tx = app.catalog.write().await?;
    let deleted = tx.delete_pin(&name).await?;
    tx.commit().await?;
    // What an earlier deletion may have left is ended also when there is no pin.
    settle(app, &name).await?;
    if !deleted {
        return Err(Error::not_found(format!("there is no pin {name}")));
    }
    tracing::info!(pin = name, "pin deleted");
    Ok(())
}

/// What the object of a pin holds.
#[must_use]
pub fn text(app: &App, path: &StorePath) -> String {
    format!("{}\n", app.store_dir.display(path))
}

/// Returns when the bucket has confirmed the object of a pin as the database has it.
///
/// # Errors
/// `Unavailable` when the bucket does not, or somebody else's request does not end.
pub async fn settle(app: &Arc<App>, name: &str) -> Result<(), Error> {
    // A turn that was begun is ended, whether or not its client still waits.
    let (app, name) = (app.clone(), name.to_owned());
    let work = app
        .clone()
        .tasks
        .spawn(async move { take_turns(&app, &name).await });
    work.await.map_err(Error::internal)?
}

async fn take_turns(app: &App, name: &str) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let fence = now() + lifetime() + SLACK;
        let mut tx = app.catalog.write().await?;
        let turn = tx.take_pin_turn(name, fence).await?;
        tx.commit().await?;
        match turn {
            PinTurn::Settled => return Ok(()),
            PinTurn::Mine(write) => {
                if write_once(app, name, &write, fence).await? {
                    return Ok(());
                }
            }
            PinTurn::Busy if started.elapsed() > PATIENCE => {
                return Err(Error::unavailable(
                    format!("an earlier request for the pin {name} has not ended in the object store"),
                    5,
                ));
            }
            PinTurn::Busy => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Settles every pin that somebody left.
///
/// # Errors
/// When the database does not answer; a bucket that refuses one pin does not keep others.
pub async fn settle_all(app: &Arc<App>) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let page = app.catalog.unsettled_pins(&after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(last);
        for name in &page {
            if let Err(problem) = settle(app, name).await {
                tracing::warn!(
                    pin = name,
                    why = problem.text(),
                    "a pin may not be as it should be"
                );
            }
        }
    }
}

fn lifetime() -> i64 {
    i64::try_from(REQUEST_LIFETIME.as_secs()).unwrap_or(i64::MAX)
}

/// Writes, or deletes, the object in a turn. True when it is settled, false when the pin
/// has changed since.
async fn write_once(app: &App, name: &str, write: &PinWrite, fence: i64) -> Result<bool, Error> {
    app.ownership.current().await?;
    let key = ObjectKey::pin(name).map_err(Error::internal)?;
    let body = write.path.as_ref().map(|path| Bytes::from(text(app, path)));
    let mut clear = true;
    let mut why = String::new();
    for attempt in 1..=ATTEMPTS {
        // A request that may outlive the turn is not begun.
        if now() + lifetime() > fence {
            break;
        }
        match app.bucket.attempt(&key, body.clone()).await {
            Attempt::Done if clear => {
                app.bucket.sync().await?;
                let mut tx = app.catalog.write().await?;
                let settled = tx.end_pin_turn(name, fence, Some(write)).await?;
                tx.commit().await?;
                return Ok(settled);
            }
            // As it should be; but an attempt before this one may still land over what comes
            // next, so the turn lasts until its fence.
            Attempt::Done => return Ok(true),
            Attempt::Refused(text) if clear => {
                end_unwritten(app, name, fence).await?;
                return Err(refused(name, &text));
            }
            // Asked again, it would say the same until somebody changes the policy.
            Attempt::Forbidden(text) if clear => {
                end_unwritten(app, name, fence).await?;
                tracing::warn!(pin = name, why = text, "the object of a pin could not be written");
                return Err(Error::store_refuses(text));
            }
            Attempt::Refused(text) | Attempt::Forbidden(text) | Attempt::Unknown(text) => {
                clear = false;
                why = text;
            }
        }
        tokio::time::sleep(Duration::from_millis(200) * attempt).await;
    }
    Err(refused(name, &why))
}

/// Ends a turn in which nothing has changed.
async fn end_unwritten(app: &App, name: &str, fence: i64) -> Result<(), Error> {
    let mut tx = app.catalog.write().await?;
    tx.end_pin_turn(name, fence, None).await?;
    tx.commit().await?;
    Ok(())
}

fn refused(name: &str, why: &str) -> Error {
    tracing::warn!(pin = name, why, "the object of a pin could not be written");
    Error::unavailable(
        format!(
            "the object store does not take the pin {name}; it is known, and written as soon as that is possible"
        ),
        5,
    )
}
