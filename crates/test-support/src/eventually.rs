//! Waiting for what happens instead of for time to pass.

/// Waits for what comes about by itself. What never does ends the test instead of hanging it;
/// the limit is no measure of how long it should take.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed().as_secs() < 300, "it never comes about: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
