//! What becomes of a push when the service dies.

use std::time::{Duration, Instant};

use niks3_test_support::{Store, finish, run, spawn};
use niks3_tests::on_service::on;

use super::paths::{is_there, noise, pushing};
use crate::cell::Outcome;
use crate::service::Service;

pub(super) fn restart(service: &Service) -> Outcome {
    let store = Store::default();
    let server = on(service.bucket(), &store);
    let path = noise(&store, "interrupted", 200 << 20);
    let begun = Instant::now();
    let child = spawn(&mut pushing(&server, &store, &path));
    std::thread::sleep(Duration::from_secs(1));
    service.kill();
    std::thread::sleep(Duration::from_secs(3));
    service.resume();
    let _ = finish(child).ok();
    let seconds = begun.elapsed().as_secs();
    is_there(&server, &store, &path);
    let checked = run(server.niks3().args(["fsck"]));
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    Outcome::Works(format!("the push ended after {seconds} s"))
}
