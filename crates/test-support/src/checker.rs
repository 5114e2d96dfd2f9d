//! The oracle: what a reader finds in the bucket must hold together. It is the program `niks3-check-bucket`, which
//! shares no code with what it checks.

use std::collections::BTreeSet;
use std::path::Path;

use niks3_check_bucket::{Folder, Http, Kind, Options, Report, S3, S3Location, check};

use crate::{Bucket, Server};

/// Runs a check on a thread of its own: it blocks, and tests have runtimes that must not.
fn apart(check: impl FnOnce() -> anyhow::Result<Report> + Send) -> Report {
    std::thread::scope(|scope| scope.spawn(check).join().unwrap()).unwrap()
}

fn options(server: &Server, store_dir: &Path) -> Options {
    Options {
        store_dir: store_dir.display().to_string(),
        keys: server
            .public_key()
            .split_whitespace()
            .map(|key| key.parse().unwrap())
            .collect(),
        ..Options::default()
    }
}

/// Reads, as Nix does, every narinfo of some paths and all they refer to, as far as they are in the
/// cache, and checks each against its signature, its NAR, its listing and its
/// references. The base names found. `external` may be missing.
///
/// # Panics
/// When anything does not hold.
#[must_use]
#[track_caller]
pub fn check_bucket(
    server: &Server,
    store_dir: &Path,
    paths: &[String],
    external: &[String],
) -> BTreeSet<String> {
    let base = |path: &String| path.rsplit('/').next().unwrap().to_owned();
    let options = Options {
        paths: Some(paths.iter().map(base).collect()),
        external: external.iter().map(base).collect(),
        ..options(server, store_dir)
    };
    let mut report = apart(|| check(&Http::new(&server.url())?, &options));
    // What is asked for may be missing; what is referred to may not.
    report.flaws.retain(|flaw| flaw.kind != Kind::PathMissing);
    assert!(report.flaws.is_empty(), "{report}");
    report.paths
}

/// Checks all that is in a server's bucket, behind its back.
///
/// # Panics
/// When the bucket cannot be read.
#[must_use]
pub fn check_whole_bucket(server: &Server, store_dir: &Path) -> Report {
    let options = options(server, store_dir);
    let bucket = server.bucket().clone();
    apart(move || match bucket {
        Bucket::Folder(folder) => check(&Folder(folder), &options),
        Bucket::Service(bucket) => {
            let location = S3Location {
                endpoint: bucket.endpoint,
                region: bucket.region.to_owned(),
                bucket: bucket.name,
                access_key: bucket.access_key.to_owned(),
                secret_key: bucket.secret_key.to_owned(),
            };
            check(&S3::new(location)?, &options)
        }
    })
}
