//! Bounds of what is asked of the bucket under the write lock of [`niks3_catalog::Catalog::write`].

use std::time::Duration;

use niks3_base::error::Error;

/// Objects that are looked at under the write lock: others wait meanwhile.
pub(crate) const UNDER_WRITE_LOCK: usize = 32;
/// How long that may take. Others wait for 30 s.
pub(crate) const WRITE_LOCK_TIMEOUT: Duration = Duration::from_secs(15);

/// `Unavailable`: it took longer.
pub fn too_slow() -> Error {
    Error::unavailable(
        "the object store answers too slowly to be compared with the database",
        60,
    )
}
