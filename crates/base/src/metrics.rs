//! What people on call watch, as OpenMetrics. No label has a value that a caller can make up:
//! each is one of a list that this program knows. `docs/metrics.md` describes every metric.
//!
//! What this process has done is counted here; `http/metrics` adds what the cache holds.

mod counted;

pub use counted::{
    AUTH_FAILURES, GC_PHASES, GcCounts, GcWatch, InFlight, Metrics, PushEnd, VERIFICATION_FAILURES, metrics,
};
