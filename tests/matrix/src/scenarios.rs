//! What is tried on every service.

mod accounts;
mod long;
mod paths;
mod service_faults;

use niks3_tests::{on_service, on_versions};

use crate::cell::Outcome;
use crate::service::Service;

/// Something that works on a service, or does not.
pub(crate) struct Scenario {
    /// For the command line.
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) title: &'static str,
    /// It takes long, or much room.
    pub(crate) long: bool,
    /// After so many it has failed.
    pub(crate) minutes: u64,
    pub(crate) run: fn(&Service) -> Outcome,
}

const fn short(name: &'static str, title: &'static str, run: fn(&Service) -> Outcome) -> Scenario {
    Scenario {
        name,
        title,
        long: false,
        minutes: 6,
        run,
    }
}

const fn long(
    name: &'static str,
    title: &'static str,
    minutes: u64,
    run: fn(&Service) -> Outcome,
) -> Scenario {
    Scenario {
        name,
        title,
        long: true,
        minutes,
        run,
    }
}

/// It works, and there is nothing to measure.
fn works() -> Outcome {
    Outcome::Works(String::new())
}

/// In the order of the table.
pub(crate) const SCENARIOS: &[Scenario] = &[
    short(
        "small",
        "push of a small path with its build log; Nix reads both",
        paths::small,
    ),
    short(
        "large",
        "100 MiB in parts, from two clients at once",
        paths::large,
    ),
    short("resume", "a killed push is gone on with", paths::resume),
    short("pin", "pin set, moved, deleted", paths::pin),
    short(
        "realisations",
        "content-addressed output found by its derivation",
        paths::realisations,
    ),
    short("read", "ranges and conditions of readers", |service| {
        on_service::conditions_of_readers_hold(service.bucket());
        works()
    }),
    short(
        "gc",
        "`gc` and `fsck` beside uploads of others, which stay",
        |service| {
            on_service::uploads_of_others_end_no_collection_and_stay(service.bucket());
            works()
        },
    ),
    short(
        "fsck",
        "lost NAR: `fsck`, `--repair`, the next push brings it",
        paths::fsck,
    ),
    short(
        "region",
        "no `--s3-region`: the one that the service names",
        paths::region,
    ),
    short("clock", "clocks 20 minutes and two days apart", |service| {
        on_service::a_clock_that_differs_from_that_of_the_service_is_made_up_for(service.bucket());
        works()
    }),
    short(
        "versions",
        "versioned bucket: seen; `--s3-delete-versions`",
        |service| {
            if !service.kind.has_versions() {
                return Outcome::DoesNotApply("no versions".into());
            }
            on_versions::a_versioned_bucket_is_seen_and_deleted_objects_go_for_good_when_asked_for(
                service.bucket(),
            );
            on_versions::what_others_have_deleted_can_be_had_back(service.bucket());
            works()
        },
    ),
    short("retention", "default retention is refused", |service| {
        if !service.kind.has_object_lock() {
            return Outcome::DoesNotApply("no object lock".into());
        }
        on_versions::a_default_retention_is_refused(&service.bucket());
        works()
    }),
    short(
        "rights",
        "each missing right is named at the start",
        accounts::rights,
    ),
    short(
        "withdrawn",
        "a right withdrawn later is named, and hangs no push",
        accounts::withdrawn,
    ),
    short(
        "rotation",
        "credentials rotated in the middle of a push",
        accounts::rotation,
    ),
    short(
        "quota",
        "quota reached: said, and gone on when raised",
        accounts::quota,
    ),
    short(
        "restart",
        "service killed in the middle of a push",
        service_faults::restart,
    ),
    long(
        "soak",
        "200 pushes, killed clients and servers, collections beside",
        40,
        long::soak,
    ),
    long(
        "uploads",
        "`gc` of 20,000 objects beside 500 open uploads of others",
        40,
        long::uploads,
    ),
    long(
        "huge",
        "6 GB compressed in one NAR: peak memory of client and server",
        60,
        long::huge,
    ),
];
