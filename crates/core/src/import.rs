//! `niks3-server import`: closures and pins out of the database of the original niks3.
//!
//! The import writes down which roots there are; the repair that has to follow finds their paths in the bucket and makes
//! closures and pins of them (`fsck/imports.rs`).

mod source;

use std::fmt;

use niks3_catalog::{Catalog, ImportedClosure, ImportedPin, SLICE_ROWS};
use niks3_nix::store_path::StoreDir;
use niks3_storage::{Bucket, ObjectKey};
use source::Source;

pub use source::Found;

use crate::ownership::{self, Adopt, REPAIR};
use crate::start_error::StartError;

/// Narinfos that are looked for in the bucket before it is taken over.
const SAMPLE: usize = 100;

/// What an import did.
#[derive(Debug, Default)]
pub struct Summary {
    closures: usize,
    pins: usize,
    known: usize,
    skipped: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural =
            |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        write!(
            formatter,
            "imported: {} and {}",
            plural(self.closures, "closure"),
            plural(self.pins, "pin")
        )?;
        if self.known > 0 {
            write!(formatter, "; {} as at the last import", self.known)?;
        }
        if self.skipped > 0 {
            write!(
                formatter,
                "; {} left out, because they cannot be read",
                self.skipped
            )?;
        }
        if self.closures + self.pins > 0 {
            write!(
                formatter,
                "\nnext: start niks3-server, then {REPAIR}; garbage collections wait for it"
            )?;
        }
        Ok(())
    }
}

/// Reads the closures and pins of the database with that URL.
///
/// # Errors
/// When the original may be running, or its database does not answer.
pub async fn read(url: &str, store_dir: &StoreDir, source_is_stopped: bool) -> Result<Found, StartError> {
    let mut source = Source::open(url).await?;
    if !source_is_stopped {
        source.require_idle().await?;
        source.require_quiet().await?;
    }
    let found = source.read(store_dir).await?;
    if !source_is_stopped {
        // Somebody may have come meanwhile.
        source.require_idle().await?;
    }
    source.close().await;
    Ok(found)
}

/// Takes the bucket over if nobody owns it yet, and writes down what was found.
///
/// # Errors
/// When the bucket is not the one that the original's database is about or belongs to another database, or one of the
/// two does not answer.
pub async fn write_down(
    found: Found,
    catalog: &Catalog,
    bucket: &Bucket,
    store_dir: &StoreDir,
    adopt: Option<&Adopt>,
) -> Result<Summary, StartError> {
    require_same_cache(bucket, &found.closures).await?;
    // A database that owns no bucket yet takes one that has no owner: the original writes none.
    let is_new = catalog.ownership().await?.bucket_id.is_empty();
    let adopt = match adopt {
        None if is_new => Some(&Adopt::Unowned),
        given => given,
    };
    ownership::claim(catalog, bucket, store_dir, adopt).await?;
    add(catalog, found).await
}

/// Refuses a bucket that has nothing of what the database is about.
async fn require_same_cache(bucket: &Bucket, closures: &[ImportedClosure]) -> Result<(), StartError> {
    let newest = closures.iter().take(SAMPLE);
    let keys: Vec<ObjectKey> = newest.map(|closure| ObjectKey::narinfo(&closure.hash)).collect();
    let count = keys.len();
    if count > 0 && bucket.sizes(keys).await?.iter().all(Option::is_none) {
        return Err(StartError::Usage(format!(
            "the bucket has none of the {count} closures that were pushed last according to --from-niks3: is --s3-bucket right?"
        )));
    }
    Ok(())
}

/// Writes down what is new since the last import.
async fn add(catalog: &Catalog, found: Found) -> Result<Summary, StartError> {
    let before = catalog.imported_closures().await?;
    let mut closures = found.closures;
    let all = closures.len() + found.pins.len();
    closures.retain(|closure| {
        before
            .get(closure.hash.as_str())
            .is_none_or(|pushed_at| *pushed_at < closure.pushed_at)
    });
    let before = catalog.imported_pins().await?;
    let mut pins = found.pins;
    pins.retain(|pin| {
        before
            .get(&pin.name)
            .is_none_or(|updated_at| *updated_at < pin.updated_at)
    });
    // Pins first: they are few, and what keeps most.
    for slice in pins.chunks(SLICE_ROWS) {
        write(catalog, &[], slice).await?;
    }
    for slice in closures.chunks(SLICE_ROWS) {
        write(catalog, slice, &[]).await?;
    }
    Ok(Summary {
        closures: closures.len(),
        pins: pins.len(),
        known: all - closures.len() - pins.len(),
        skipped: found.skipped,
    })
}

/// Each transaction asks for a repair: one that is in progress does not count.
async fn write(
    catalog: &Catalog,
    closures: &[ImportedClosure],
    pins: &[ImportedPin],
) -> Result<(), StartError> {
    let mut tx = catalog.write().await?;
    tx.add_imported_closures(closures).await?;
    tx.add_imported_pins(pins).await?;
    let reason = format!("closures and pins of another database were imported: {REPAIR}");
    tx.require_repair(&reason, 0).await?;
    tx.commit().await?;
    Ok(())
}
