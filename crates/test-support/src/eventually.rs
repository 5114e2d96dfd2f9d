//! Waiting for what happens instead of for time to pass.

use std::time::{Duration, Instant};

/// What takes longer than this never happens; it is no measure of how long it should take.
const NEVER: Duration = Duration::from_secs(300);

/// Waits for what comes about by itself. What never does ends the test instead of hanging it.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < NEVER, "it never comes about: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The same, for a test that has tasks of its own to go on with meanwhile.
pub async fn comes_about(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < NEVER, "it never comes about: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
