//! Bounds of what is asked of the bucket with the gate of [`niks3_catalog::Catalog::write`] held.

use std::time::Duration;

use niks3_base::error::Error;

/// Objects that are looked at with the gate held: others wait meanwhile.
pub(crate) const GATED: usize = 32;
/// How long that may take. Others wait for 30 s.
pub(crate) const GATE: Duration = Duration::from_secs(15);

/// `Unavailable`: it took longer.
pub fn too_slow() -> Error {
    Error::unavailable(
        "the object store answers too slowly to be compared with the database",
        60,
    )
}
