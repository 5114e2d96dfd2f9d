//! What there is at the moment of the question.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::app::App;
use crate::catalog::{CacheCounts, FindingState, Stored};
use crate::fsck::Kind;
use crate::gc::Progress;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ObjectKind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolState {
    pool: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Finding {
    kind: &'static str,
    state: &'static str,
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A registry of what there is.
pub(super) fn registry(app: &App, cache_stats: Option<&CacheCounts>) -> Registry {
    let mut registry = Registry::with_prefix("niks3");
    let connections: Family<PoolState, Gauge> = Family::default();
    for pool in app.catalog.pools() {
        let set = |state, value: u32| {
            connections
                .get_or_create(&PoolState {
                    pool: pool.name,
                    state,
                })
                .set(value.into());
        };
        set("idle", pool.idle);
        set("used", pool.open.saturating_sub(pool.idle));
        set("free", pool.most.saturating_sub(pool.open));
    }
    registry.register("db_connections", "Connections to the database", connections);
    let up: Gauge = Gauge::default();
    up.set(i64::from(cache_stats.is_some()));
    registry.register("census_up", "Whether what the cache holds could be counted", up);
    if let Some(counts) = cache_stats {
        stored(&mut registry, counts);
        tasks(&mut registry, counts);
    }
    registry
}

fn stored(registry: &mut Registry, counts: &CacheCounts) {
    let objects: Family<ObjectKind, Gauge> = Family::default();
    let bytes: Family<ObjectKind, Gauge> = Family::default();
    let condemned: Family<ObjectKind, Gauge> = Family::default();
    let condemned_bytes: Family<ObjectKind, Gauge> = Family::default();
    for (kind, stored) in counts.kinds() {
        let Stored {
            objects: count,
            bytes: size,
            ..
        } = stored;
        objects.get_or_create(&ObjectKind { kind }).set(number(count));
        if let Some(size) = size {
            bytes.get_or_create(&ObjectKind { kind }).set(number(size));
        }
        if let Some(count) = stored.condemned {
            condemned.get_or_create(&ObjectKind { kind }).set(number(count));
        }
        if let Some(size) = stored.condemned_bytes {
            condemned_bytes
                .get_or_create(&ObjectKind { kind })
                .set(number(size));
        }
    }
    registry.register(
        "objects",
        "Objects in the bucket that the database knows",
        objects,
    );
    registry.register_with_unit("object_size", "Bytes of those objects", Unit::Bytes, bytes);
    let text = "Objects that nothing needs, and that wait for the end of their grace period";
    registry.register("objects_condemned", text, condemned);
    registry.register_with_unit(
        "objects_condemned_size",
        "Bytes of those objects",
        Unit::Bytes,
        condemned_bytes,
    );
    let mut one = |name: &str, help: &str, unit: Option<Unit>, value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(number(value));
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, gauge),
            None => registry.register(name, help, gauge),
        }
    };
    let nars = "Bytes of the NARs of all paths, as Nix unpacks them";
    one("paths_nar_size", nars, Some(Unit::Bytes), counts.nar_bytes);
    one(
        "paths_file_size",
        "Bytes that the NARs of all paths would take in the bucket if none shared one",
        Some(Unit::Bytes),
        counts.file_bytes,
    );
    one("closures", "Roots that pushes committed", None, counts.closures);
    one("runs", "Runs of CI that are remembered", None, counts.runs);
    one("pushes_open", "Pushes under way", None, counts.open_pushes);
    one(
        "pushes_abandoned",
        "Pushes under way whose lease has run out",
        None,
        counts.abandoned_pushes,
    );
    one(
        "pins_unsettled",
        "Pins whose object in the bucket may not be as the database has it",
        None,
        counts.unsettled_pins,
    );
    let ratio: Gauge<f64, std::sync::atomic::AtomicU64> = Gauge::default();
    ratio.set(counts.dedup_ratio());
    registry.register(
        "dedup_ratio",
        "How many times the NARs in the bucket are used, by their bytes",
        ratio,
    );
}

/// What the last garbage collection has found out about retention.
fn retention(registry: &mut Registry, counts: &CacheCounts) {
    let progress: Progress = serde_json::from_str(&counts.gc_progress).unwrap_or_default();
    let report = progress.retention.unwrap_or_default();
    let filled = report.quota.unwrap_or_default();
    let mut gauge = |name: &str, help: &str, unit: Option<Unit>, value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(number(value));
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, gauge),
            None => registry.register(name, help, gauge),
        }
    };
    let text = "Closures that are released and wait for the end of their undo time";
    gauge("closures_released", text, None, counts.released_closures);
    let text = "Whether the last garbage collection has released nothing until somebody accepts its policy";
    gauge("retention_held", text, None, report.held.is_some().into());
    let text = "Repositories whose jobs do not report what they use";
    gauge("retention_uncovered_repositories", text, None, report.uncovered);
    gauge(
        "quota",
        "Most bytes of the cache, or 0",
        Some(Unit::Bytes),
        filled.quota,
    );
    let text = "Bytes by which what the quota never takes is above it";
    let excess = filled.exempt.saturating_sub(filled.quota);
    gauge("quota_excess", text, Some(Unit::Bytes), excess);
}

fn tasks(registry: &mut Registry, counts: &CacheCounts) {
    let time = |registry: &mut Registry, name: &str, help: &str, at: i64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(at);
        registry.register_with_unit(name, help, Unit::Seconds, gauge);
    };
    let gc = "When the last garbage collection of any server ended well, as a Unix time, or 0";
    time(registry, "gc_last_success_time", gc, counts.gc_done_at);
    let fsck = "When the last check of any server ended well, as a Unix time, or 0";
    time(registry, "fsck_last_success_time", fsck, counts.fsck_done_at);
    retention(registry, counts);
    let running: Gauge = Gauge::default();
    running.set(counts.gc_running.into());
    registry.register("gc_running", "Whether a garbage collection is under way", running);
    let findings: Family<Finding, Gauge> = Family::default();
    for kind in Kind::ALL {
        let kind = kind.as_str();
        for state in FindingState::ALL {
            let _ = findings.get_or_create(&Finding {
                kind,
                state: state.as_str(),
            });
        }
        for finding in counts.findings.iter().filter(|finding| finding.kind == kind) {
            let state = finding.state.as_str();
            findings
                .get_or_create(&Finding { kind, state })
                .set(finding.count);
        }
    }
    registry.register("fsck_findings", "What the last check found", findings);
}
