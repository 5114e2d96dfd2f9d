//! What every request can reach. Nothing that matters lives only here.

use std::sync::Arc;

use niks3_auth::{Authenticator, Limits};
use niks3_base::signing::Signer;
use niks3_catalog::Catalog;
use niks3_nix::store_path::StoreDir;
use niks3_storage::{Bucket, ChecksumKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::cache_stats::CacheStats;
use crate::clock::Clock;
use crate::deletion_waits::DeletionWaits;
use crate::listings::Listings;
use crate::ownership::Ownership;
use crate::policy_file::Retention;
use crate::verification::{Queue, VerifyUploads};

/// The running server.
pub struct App {
    /// The database.
    pub catalog: Catalog,
    /// The object store.
    pub bucket: Arc<Bucket>,
    /// Whether the database owns the bucket.
    pub ownership: Ownership,
    /// Which checksum the object store enforces on uploads.
    pub checksum: ChecksumKind,
    /// Whose uploads are read before they become visible.
    pub verify_uploads: VerifyUploads,
    /// Seconds for which replaced contents stay readable.
    pub keep_replaced: i64,
    /// Of which NARs the bucket has the listings.
    pub listings: Listings,
    /// Index debug information by build id.
    pub index_debug_info: bool,
    /// Most bytes of a NAR that may be pushed.
    pub max_nar_size: u64,
    /// Uploads that wait to be read.
    pub verifications: Arc<Queue>,
    /// Pushes whose commit waits for deletions.
    pub deletion_waits: DeletionWaits,
    /// The keys that sign.
    pub signer: Arc<Signer>,
    /// Who may do everything.
    pub auth: Authenticator,
    /// Store directory of the cache.
    pub store_dir: StoreDir,
    /// Priority among substituters.
    pub priority: u32,
    /// Where readers find the cache.
    pub cache_url: Option<Url>,
    /// Where clients find this server.
    pub server_url: Option<Url>,
    /// The object store is inside this process.
    pub embedded_store: bool,
    /// Seconds that a push lives without being renewed.
    pub lease_seconds: u32,
    /// What anybody may have under way.
    pub limits: Limits,
    /// Cancelled when the server is told to stop.
    pub stop: CancellationToken,
    /// Work that goes on without a request.
    pub tasks: TaskTracker,
    /// Whether the wall clock was set while the server ran.
    pub clock: Clock,
    /// How long closures stay.
    pub retention: Retention,
    /// What the cache holds, counted now and then.
    pub cache_stats: CacheStats,
    /// Metrics are for those with the scope `read`.
    pub protect_metrics: bool,
    /// Serve the bucket's objects over HTTP.
    pub read_proxy: bool,
    /// A collection deletes old versions of objects.
    pub delete_versions: bool,
    /// Readers of NARs are sent to the object store.
    pub read_redirect: bool,
    /// Reading the bucket over HTTP needs the scope `read`.
    pub protect_reads: bool,
}
