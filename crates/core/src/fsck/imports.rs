//! Closures and pins of another database, which `niks3-server import` has written down: they are made once their paths
//! are in the cache.

use niks3_base::error::Error;
use niks3_catalog::{FindingId, ImportedPin, SLICE_ROWS};
use niks3_storage::ObjectKey;

use super::Kind;
use super::check::{Check, Flaw};
use crate::pins;
use crate::write_lock::UNDER_WRITE_LOCK;

/// Pins that are read at once.
const PAGE: i64 = 500;

/// Makes what can be made, gives up what is lost, and reports both that and what goes on waiting.
pub(super) async fn run(check: &Check<'_>) -> Result<(), Error> {
    closures(check).await?;
    pins(check).await
}

/// Whether every imported root is a closure or pin, or lost. Otherwise something of it is in the bucket that no
/// collection would know to keep what it refers to.
pub(super) async fn are_settled(check: &Check<'_>) -> Result<bool, Error> {
    let waiting = check.app.catalog.waiting_roots().await?;
    if waiting.closures + waiting.pins == 0 {
        return Ok(true);
    }
    tracing::warn!(
        closures = waiting.closures,
        pins = waiting.pins,
        "imported roots could not be taken in: garbage collections go on waiting"
    );
    Ok(false)
}

async fn closures(check: &Check<'_>) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let limit = i64::try_from(SLICE_ROWS).unwrap_or(i64::MAX);
        let page = check.app.catalog.waiting_closures(&after, limit).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(last);
        let mut tx = check.write().await?;
        tx.settle_imported_closures(&page).await?;
        tx.commit().await?;
        let still = check.app.catalog.waiting_closures_among(&page).await?;
        for hashes in still.chunks(UNDER_WRITE_LOCK) {
            let keys = hashes
                .iter()
                .map(|hash| Ok(ObjectKey::narinfo(&hash.parse().map_err(Error::internal)?)))
                .collect::<Result<Vec<_>, Error>>()?;
            let found = check.app.bucket.sizes(keys).await?;
            let (lost, waiting) = partition(hashes, &found);
            let mut tx = check.write().await?;
            let flaws = lost
                .iter()
                .map(|hash| (hash, LOST))
                .chain(waiting.iter().map(|hash| (hash, WAITING)));
            let flaws = flaws
                .map(|(hash, detail)| Flaw::new(Kind::LostRoot, format!("{hash}.narinfo"), detail, ()))
                .collect();
            let noted = check.note(&mut tx, flaws).await?;
            tx.give_up_imported_closures(&lost).await?;
            tx.commit().await?;
            let ids: Vec<FindingId> = noted.iter().map(|finding| finding.id).collect();
            check.end(&ids, false).await?;
        }
    }
}

const LOST: &str = "an imported closure has no narinfo in the bucket: it was lost before the import";
const WAITING: &str = "an imported closure could not be taken in, and garbage collections wait for it: see what is said of its \
     narinfo; or push it again, or delete its narinfo";

fn partition(hashes: &[String], found: &[Option<u64>]) -> (Vec<String>, Vec<String>) {
    let (mut lost, mut waiting) = (Vec::new(), Vec::new());
    for (hash, size) in hashes.iter().zip(found) {
        let of = if size.is_none() { &mut lost } else { &mut waiting };
        of.push(hash.clone());
    }
    (lost, waiting)
}

async fn pins(check: &Check<'_>) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let page = check.app.catalog.waiting_pins(&after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.name);
        for imported in &page {
            pin(check, imported).await?;
        }
    }
}

async fn pin(check: &Check<'_>, imported: &ImportedPin) -> Result<(), Error> {
    let mut tx = check.write().await?;
    if tx.settle_imported_pin(imported).await? {
        tx.commit().await?;
        // A bucket that does not take it now gets it later: the database has noted that.
        if let Err(problem) = pins::settle(check.app, &imported.name).await {
            tracing::warn!(
                pin = imported.name,
                why = problem.text(),
                "the bucket does not have an imported pin yet"
            );
        }
        return Ok(());
    }
    drop(tx);
    let narinfo = ObjectKey::narinfo(&imported.path.hash());
    let is_lost = check.app.bucket.head(&narinfo).await?.is_none();
    let detail = match is_lost {
        true => format!(
            "an imported pin points at {}, which is not in the bucket",
            imported.path
        ),
        false => format!(
            "an imported pin points at {}, which could not be taken in, and garbage collections wait for it",
            imported.path
        ),
    };
    let mut tx = check.write().await?;
    let flaw = Flaw::new(Kind::DanglingPin, format!("pins/{}", imported.name), detail, ());
    let noted = check.note(&mut tx, vec![flaw]).await?;
    if is_lost {
        tx.give_up_imported_pin(&imported.name).await?;
    }
    tx.commit().await?;
    let ids: Vec<FindingId> = noted.iter().map(|finding| finding.id).collect();
    check.end(&ids, false).await
}
