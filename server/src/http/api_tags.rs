//! The groups in which the OpenAPI document shows operations.

use poem_openapi::Tags;

/// Groups of operations.
#[derive(Tags)]
pub enum ApiTags {
    /// Putting closures into the cache.
    Pushes,
    /// Names that keep closures in the cache.
    Pins,
    /// What is in the cache, and the runs of CI that have pushed it.
    Runs,
    /// What a client needs to know of the cache.
    Cache,
    /// Deleting what nothing needs.
    Gc,
    /// Comparing the bucket with the database.
    Fsck,
    /// Who may do what.
    Access,
}
