//! How many requests are under way at once, and how many begin in a second.

use std::sync::Arc;
use std::time::Duration;

use niks3_base::open_files;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Bounds on requests to a service.
#[derive(Debug)]
pub(super) struct Pace {
    turns: Arc<Semaphore>,
    next: Option<(Mutex<Instant>, Duration)>,
}

impl Pace {
    pub(super) fn new(concurrency: usize, per_second: Option<u32>) -> Self {
        let next = per_second.map(|rate| (Mutex::new(Instant::now()), Duration::from_secs(1) / rate.max(1)));
        Self {
            turns: Arc::new(Semaphore::new(open_files::service_requests(concurrency))),
            next,
        }
    }

    /// Waits for a turn, and holds it until it is dropped.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let permit = self.turns.clone().acquire_owned().await.ok();
        if let Some((next, gap)) = &self.next {
            let mut next = next.lock().await;
            let at = (*next).max(Instant::now());
            *next = at + *gap;
            drop(next);
            tokio::time::sleep_until(at).await;
        }
        permit
    }
}
