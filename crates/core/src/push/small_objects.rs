//! NARs that came in a request to the server: read from memory, stored under their final keys, and recorded.
//!
//! Nobody sees a NAR without a narinfo, and its name is its SHA-256, so it needs no staging area; and what has been read here is
//! not read again from the object store.

use std::collections::HashSet;

use bytes::Bytes;
use niks3_base::error::Error;
use niks3_base::metrics::metrics;
use niks3_base::nar_contents::{NarReader, PackedListing, Verdict, Wanted};
use niks3_catalog::{ArrivedObject, NewVerification, ObjectId, Push, SLICE_MARKS};
use niks3_storage::ObjectKey;

use crate::app::App;
use crate::verification::{ClaimedNar, compare};

/// NARs that are read before others get their turn.
const READ_AT_ONCE: usize = 32;
/// Differences of one request that are logged.
const MAX_DIFFERENCES: usize = 20;

/// A NAR that is in memory.
#[derive(Debug, Clone)]
pub struct SmallNar {
    /// Its key, by the SHA-256 of its bytes.
    pub key: ObjectKey,
    /// The compressed NAR.
    pub bytes: Bytes,
    /// Bytes that the NAR is said to have.
    pub most: u64,
    /// Hashes that content addresses need.
    pub wanted: Vec<Wanted>,
}

/// What such a NAR holds.
#[derive(Debug, Clone)]
pub struct ReadNar {
    /// What it is.
    pub verdict: Verdict,
    /// Its listing.
    pub listing: PackedListing,
}

/// Reads NARs, in their order.
///
/// # Errors
/// `Unavailable` when the server stops.
pub async fn read_nars(app: &App, nars: &[SmallNar]) -> Result<Vec<ReadNar>, Error> {
    let mut read = Vec::with_capacity(nars.len());
    for batch in nars.chunks(READ_AT_ONCE) {
        let batch = batch.to_vec();
        let turn = app.verifications.turn().await;
        let _turn = turn.map_err(|why| Error::unavailable(why, 5))?;
        let reading = tokio::task::spawn_blocking(move || batch.iter().map(read_nar).collect::<Vec<_>>());
        read.extend(reading.await.map_err(Error::internal)?);
    }
    Ok(read)
}

fn read_nar(nar: &SmallNar) -> ReadNar {
    let mut reader = NarReader::new(nar.most, &nar.wanted);
    reader.push(&nar.bytes);
    let contents = reader.finish();
    metrics().nar_read(contents.file_size);
    // Its key is made of the hash that was just taken of its bytes.
    let (verdict, listing) = contents.verdict(None);
    ReadNar { verdict, listing }
}

/// Compares what a push says of paths with what their NARs hold.
///
/// # Errors
/// `Invalid` naming the first path of which it says something else.
pub fn compare_nars<'a>(
    push: &Push,
    claims: impl Iterator<Item = (ClaimedNar<'a>, &'a Verdict)>,
) -> Result<(), Error> {
    let differences: Vec<_> = claims
        .filter_map(|(claim, verdict)| compare(ObjectId::default(), claim, verdict)?.err())
        .take(MAX_DIFFERENCES)
        .collect();
    for difference in &differences {
        difference.audit(&push.identity, &push.token);
    }
    match differences.first() {
        None => Ok(()),
        Some(first) => {
            let detail = format!("verification failed ({}): {first}", first.kind.as_str());
            Err(Error::invalid("objects.data", detail))
        }
    }
}

/// Stores NARs whose rows a live push claims, and records that they are there and what they hold, once that survives a power
/// cut. Those that are `present` are not written again.
///
/// # Errors
/// When the object store or the database fails. The same call again stores what is missing.
pub async fn store_nars(
    app: &App,
    push: &Push,
    nars: Vec<(ObjectId, SmallNar, ReadNar)>,
    present: &HashSet<ObjectId>,
) -> Result<(), Error> {
    let known: Vec<ObjectId> = present.iter().copied().collect();
    let known = app.catalog.verdicts(&known).await?;
    let (mut puts, mut arrived, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for (object_id, nar, read) in nars {
        if !present.contains(&object_id) {
            arrived.push(ArrivedObject {
                id: object_id,
                key: nar.key.as_str().to_owned(),
                size: i64::try_from(nar.bytes.len()).map_err(Error::internal)?,
            });
            puts.push((nar.key, nar.bytes));
        }
        if !known.contains_key(&object_id) {
            verdicts.push(NewVerification {
                object_id,
                verdict: read.verdict,
                listing: read.listing,
            });
        }
    }
    if !puts.is_empty() {
        app.ownership.current().await?;
        app.bucket.put_all(puts).await?;
        // The database must not outlive, in a power cut, what it says is there.
        app.bucket.sync().await?;
    }
    if arrived.is_empty() && verdicts.is_empty() {
        return Ok(());
    }
    debug_assert!(arrived.len() <= SLICE_MARKS, "a request brings fewer");
    let mut tx = app.catalog.write().await?;
    tx.objects_arrived(push.id, &arrived).await?;
    tx.add_verdicts(&verdicts).await?;
    tx.commit().await?;
    metrics().arrived(arrived.iter().map(|object| object.size));
    Ok(())
}
