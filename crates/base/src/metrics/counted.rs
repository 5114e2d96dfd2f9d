//! What this process has done since it started.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::error::ErrorKind;

/// Bounds of histograms, in seconds: from what an index answers to what moves a NAR.
const SECONDS: [f64; 13] = [
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0,
];

/// Reasons for which requests are not let in.
pub const AUTH_FAILURES: [&str; 6] = [
    "no_token",
    "invalid_token",
    "too_many",
    "no_rule",
    "unavailable",
    "missing_scope",
];

/// In what uploads differ from what their push says.
pub const VERIFICATION_FAILURES: [&str; 6] = [
    "file-hash",
    "compression",
    "nar",
    "nar-size",
    "nar-hash",
    "content-address",
];

/// Phases of a garbage collection.
pub const GC_PHASES: [&str; 7] = ["pushes", "closures", "mark", "paths", "nars", "logs", "uploads"];

/// Requests to the object store, so that each is there before it first happens.
const S3_OPERATIONS: [&str; 15] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "DeleteObject",
    "DeleteObjects",
    "GetObject",
    "HeadBucket",
    "HeadObject",
    "ListMultipartUploads",
    "ListObjectsV2",
    "ListParts",
    "PutObject",
    "UploadPart",
    OTHER,
];
/// Any other request to the object store.
const OTHER: &str = "other";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    operation: Arc<str>,
    status: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Operation {
    operation: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct S3Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct S3Request {
    operation: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kinded {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Source {
    source: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

type Timed<L> = Family<L, Histogram, fn() -> Histogram>;

/// How a push, or an attempt to commit one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushEnd {
    /// All of it is visible.
    Committed,
    /// Its client gave it up.
    Aborted,
    /// Its commit found that something had not arrived; it can be repeated.
    Incomplete,
    /// Its commit found it wrong.
    Refused,
    /// Its commit came after its lease had run out.
    Late,
    /// Its commit failed for another reason; it can be repeated.
    Failed,
}

impl PushEnd {
    const ALL: [Self; 6] = [
        Self::Committed,
        Self::Aborted,
        Self::Incomplete,
        Self::Refused,
        Self::Late,
        Self::Failed,
    ];

    /// What the failure of a commit means for the push.
    #[must_use]
    pub const fn of(failure: &ErrorKind) -> Self {
        match failure {
            ErrorKind::NotFound | ErrorKind::PushGone => Self::Late,
            ErrorKind::Conflict { .. } => Self::Incomplete,
            ErrorKind::Unavailable { .. } | ErrorKind::Internal => Self::Failed,
            _ => Self::Refused,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Aborted => "aborted",
            Self::Incomplete => "incomplete",
            Self::Refused => "refused",
            Self::Late => "late",
            Self::Failed => "failed",
        }
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Timed<Operation>,
    in_flight: Gauge,
    opened: Counter,
    pushes: Family<Ended, Counter>,
    nar_bytes: Family<Source, Counter>,
    uploaded: Counter,
    uploaded_objects: Counter,
    leases: Counter,
    verified: Counter,
    verified_bytes: Counter,
    verification_failures: Family<Kinded, Counter>,
    conflicts: Counter,
    replaced: Counter,
    auth_failures: Family<Reason, Counter>,
    s3_requests: Family<S3Request, Counter>,
    s3_durations: Timed<S3Operation>,
    write_waits: Histogram,
    writes: Histogram,
    gc_runs: Family<Ended, Counter>,
    gc_phase_seconds: Family<PhaseLabel, Counter<f64, AtomicU64>>,
    gc_phase: Mutex<Option<(&'static str, Instant)>>,
    gc_closures: Counter,
    gc_marked: Counter,
    gc_deleted: Counter,
    gc_failed: Counter,
    gc_bytes: Counter,
}

/// The metrics of this process.
#[must_use]
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    &METRICS
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("niks3");
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            in_flight: Gauge::default(),
            opened: Counter::default(),
            pushes: Family::default(),
            nar_bytes: Family::default(),
            uploaded: Counter::default(),
            uploaded_objects: Counter::default(),
            leases: Counter::default(),
            verified: Counter::default(),
            verified_bytes: Counter::default(),
            verification_failures: Family::default(),
            conflicts: Counter::default(),
            replaced: Counter::default(),
            auth_failures: Family::default(),
            s3_requests: Family::default(),
            s3_durations: Family::new_with_constructor(histogram),
            write_waits: histogram(),
            writes: histogram(),
            gc_runs: Family::default(),
            gc_phase_seconds: Family::default(),
            gc_phase: Mutex::new(None),
            gc_closures: Counter::default(),
            gc_marked: Counter::default(),
            gc_deleted: Counter::default(),
            gc_failed: Counter::default(),
            gc_bytes: Counter::default(),
            registry: Registry::default(),
        };
        metrics.register(&mut registry);
        metrics.begin_at_zero();
        Self { registry, ..metrics }
    }

    // Histograms carry their unit in the name alone: not every parser takes it from elsewhere.
    fn register(&self, registry: &mut Registry) {
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The program", Info::new(version));
        let started: Gauge = Gauge::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        started.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        let start_time = "When the process started, as a Unix time";
        registry.register_with_unit("start_time", start_time, Unit::Seconds, started);

        registry.register("http_requests", "Requests answered", self.requests.clone());
        let durations = "Time until an answer began";
        registry.register("http_request_duration_seconds", durations, self.durations.clone());
        let in_flight = "Requests whose answer has not begun";
        registry.register("http_requests_in_flight", in_flight, self.in_flight.clone());

        registry.register("pushes_opened", "Pushes opened", self.opened.clone());
        let pushes = "Pushes, and attempts to commit one, by how they ended";
        registry.register("pushes", pushes, self.pushes.clone());
        let nar_bytes =
            "Bytes of NARs in committed pushes: those they added, and those that the cache had already";
        registry.register("push_nar_bytes", nar_bytes, self.nar_bytes.clone());
        let uploaded = "Bytes of NARs that arrived in the bucket, as they are stored";
        registry.register("upload_bytes", uploaded, self.uploaded.clone());
        let objects = "NARs that arrived in the bucket";
        registry.register("upload_objects", objects, self.uploaded_objects.clone());
        let leases = "Pushes given up because their client was no longer heard of";
        registry.register("push_leases_expired", leases, self.leases.clone());

        let verified = "NARs that the server read to verify them";
        registry.register("verified_nars", verified, self.verified.clone());
        let bytes = "Bytes of NARs that the server read to verify them, as they are stored";
        registry.register("verified_bytes", bytes, self.verified_bytes.clone());
        let failures = "Uploads that were not what their push said, by what differed";
        registry.register(
            "verification_failures",
            failures,
            self.verification_failures.clone(),
        );

        let conflicts = "Paths of committed pushes that the cache has with other contents, which stayed";
        registry.register("path_conflicts", conflicts, self.conflicts.clone());
        let replaced = "Paths whose contents a push with a higher-ranked key has replaced";
        registry.register("paths_replaced", replaced, self.replaced.clone());

        let failures = "Requests that were not let in";
        registry.register("auth_failures", failures, self.auth_failures.clone());

        let s3 = "Requests sent to the object store, each attempt of its own";
        registry.register("s3_requests", s3, self.s3_requests.clone());
        let s3_durations = "Time until the object store's answer began, or the attempt failed";
        let name = "s3_request_duration_seconds";
        registry.register(name, s3_durations, self.s3_durations.clone());
        let waits = "Time that writing transactions waited for their turn";
        registry.register("db_write_wait_seconds", waits, self.write_waits.clone());
        let writes = "Time that writing transactions were held, in which no other could begin";
        registry.register("db_write_seconds", writes, self.writes.clone());

        let runs = "Garbage collections that this process ran, by how they ended";
        registry.register("gc_runs", runs, self.gc_runs.clone());
        let phases = "Time spent in each phase of garbage collections";
        registry.register_with_unit("gc_phase", phases, Unit::Seconds, self.gc_phase_seconds.clone());
        let closures = "Closures that garbage collections let go";
        registry.register("gc_closures_deleted", closures, self.gc_closures.clone());
        let marked = "Objects that garbage collections found to be needed by nothing any more";
        registry.register("gc_objects_marked", marked, self.gc_marked.clone());
        let deleted = "Objects that garbage collections deleted from the bucket";
        registry.register("gc_objects_deleted", deleted, self.gc_deleted.clone());
        let failed = "Objects that garbage collections could not delete";
        registry.register("gc_objects_failed", failed, self.gc_failed.clone());
        let freed = "Bytes that garbage collections freed in the bucket";
        registry.register("gc_freed_bytes", freed, self.gc_bytes.clone());
    }

    /// Makes every series whose labels are known, so that the first event is an increase.
    fn begin_at_zero(&self) {
        for end in PushEnd::ALL {
            let _ = self.pushes.get_or_create(&Ended { result: end.as_str() });
        }
        for kind in VERIFICATION_FAILURES {
            let _ = self.verification_failures.get_or_create(&Kinded { kind });
        }
        for source in ["added", "cached"] {
            let _ = self.nar_bytes.get_or_create(&Source { source });
        }
        for reason in AUTH_FAILURES {
            let _ = self.auth_failures.get_or_create(&Reason { reason });
        }
        for operation in S3_OPERATIONS {
            for result in ["ok", "error"] {
                let _ = self.s3_requests.get_or_create(&S3Request { operation, result });
            }
            let _ = self.s3_durations.get_or_create(&S3Operation { operation });
        }
        for result in ["done", "failed", "cancelled", "dry_run"] {
            let _ = self.gc_runs.get_or_create(&Ended { result });
        }
        for phase in GC_PHASES {
            let _ = self.gc_phase_seconds.get_or_create(&PhaseLabel { phase });
        }
    }

    /// What is counted.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A request begins; it is under way until what is returned is dropped.
    #[must_use]
    pub fn request_begins(&'static self) -> InFlight {
        self.in_flight.inc();
        InFlight(&self.in_flight)
    }

    /// A request was answered.
    pub fn answered(&self, operation: &Arc<str>, status: u16, took: Duration) {
        let answered = Answered {
            operation: operation.clone(),
            status: status.into(),
        };
        self.requests.get_or_create(&answered).inc();
        let operation = Operation {
            operation: operation.clone(),
        };
        self.durations
            .get_or_create(&operation)
            .observe(took.as_secs_f64());
    }

    /// A push was opened.
    pub fn push_opened(&self) {
        self.opened.inc();
    }

    /// A push, or an attempt to commit it, came to an end.
    pub fn push_ended(&self, end: PushEnd) {
        self.pushes.get_or_create(&Ended { result: end.as_str() }).inc();
    }

    /// A push was committed: bytes of the NARs that it added, and of those that were there.
    pub fn push_bytes(&self, added: u64, cached: u64) {
        self.nar_bytes
            .get_or_create(&Source { source: "added" })
            .inc_by(added);
        self.nar_bytes
            .get_or_create(&Source { source: "cached" })
            .inc_by(cached);
    }

    /// NARs were found in the bucket that were not there before.
    pub fn arrived(&self, sizes: impl Iterator<Item = i64>) {
        for size in sizes {
            self.uploaded_objects.inc();
            self.uploaded.inc_by(size.unsigned_abs());
        }
    }

    /// A NAR was read to verify it.
    pub fn nar_read(&self, bytes: u64) {
        self.verified.inc();
        self.verified_bytes.inc_by(bytes);
    }

    /// An upload was not what its push said, by one of [`VERIFICATION_FAILURES`].
    pub fn verification_failed(&self, kind: &'static str) {
        self.verification_failures.get_or_create(&Kinded { kind }).inc();
    }

    /// A committed push has other contents of so many paths than the cache.
    pub fn path_conflicts(&self, count: usize) {
        self.conflicts.inc_by(count as u64);
    }

    /// The contents of a path were replaced.
    pub fn path_replaced(&self) {
        self.replaced.inc();
    }

    /// Pushes were given up because nobody renewed them.
    pub fn leases_expired(&self, pushes: u64) {
        self.leases.inc_by(pushes);
    }

    /// A request was not let in, for one of [`AUTH_FAILURES`].
    pub fn auth_failure(&self, reason: &'static str) {
        self.auth_failures.get_or_create(&Reason { reason }).inc();
    }

    /// An attempt of a request to the object store has ended.
    pub fn s3_request(&self, operation: &str, ok: bool, took: Duration) {
        let known = S3_OPERATIONS.into_iter().find(|known| *known == operation);
        let operation = known.unwrap_or(OTHER);
        let result = if ok { "ok" } else { "error" };
        self.s3_requests
            .get_or_create(&S3Request { operation, result })
            .inc();
        let operation = S3Operation { operation };
        self.s3_durations
            .get_or_create(&operation)
            .observe(took.as_secs_f64());
    }

    /// A writing transaction had its turn.
    pub fn write_waited(&self, wait: Duration) {
        self.write_waits.observe(wait.as_secs_f64());
    }

    /// A writing transaction was held.
    pub fn write_held(&self, held: Duration) {
        self.writes.observe(held.as_secs_f64());
    }

    /// A garbage collection of this process enters one of [`GC_PHASES`], or ends with `None`.
    pub fn gc_phase(&self, next: Option<&'static str>) {
        let now = Instant::now();
        let mut current = self.gc_phase.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, next.map(|phase| (phase, now)));
        drop(current);
        if let Some((phase, since)) = before
            && GC_PHASES.contains(&phase)
        {
            let spent = now.duration_since(since).as_secs_f64();
            self.gc_phase_seconds
                .get_or_create(&PhaseLabel { phase })
                .inc_by(spent);
        }
    }
}

/// A request whose answer has not begun.
#[derive(Debug)]
pub struct InFlight(&'static Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What a garbage collection did.
#[derive(Debug, Clone, Copy)]
pub struct GcCounts {
    /// Closures let go.
    pub closures_deleted: u64,
    /// Objects that nothing needs any more.
    pub objects_marked: u64,
    /// Objects deleted from the bucket.
    pub objects_deleted: u64,
    /// Objects that could not be deleted.
    pub objects_failed: u64,
    /// Bytes freed in the bucket.
    pub bytes_freed: u64,
}

/// Counts what a garbage collection did when it ends, however that is.
#[derive(Debug)]
pub struct GcWatch<F: Fn() -> GcCounts> {
    counts: F,
    dry_run: bool,
    result: &'static str,
}

impl<F: Fn() -> GcCounts> GcWatch<F> {
    /// Watches one whose counts can be asked for.
    pub const fn new(dry_run: bool, counts: F) -> Self {
        Self {
            counts,
            dry_run,
            result: "cancelled",
        }
    }

    /// It came to its end by itself.
    pub fn ended(&mut self, ok: bool) {
        self.result = match (ok, self.dry_run) {
            (false, _) => "failed",
            (true, true) => "dry_run",
            (true, false) => "done",
        };
    }
}

impl<F: Fn() -> GcCounts> Drop for GcWatch<F> {
    fn drop(&mut self) {
        let metrics = metrics();
        metrics.gc_phase(None);
        metrics
            .gc_runs
            .get_or_create(&Ended { result: self.result })
            .inc();
        if self.dry_run {
            return;
        }
        let counts = (self.counts)();
        metrics.gc_closures.inc_by(counts.closures_deleted);
        metrics.gc_marked.inc_by(counts.objects_marked);
        metrics.gc_deleted.inc_by(counts.objects_deleted);
        metrics.gc_failed.inc_by(counts.objects_failed);
        metrics.gc_bytes.inc_by(counts.bytes_freed);
    }
}
