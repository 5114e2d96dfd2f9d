//! What the cache holds. Counting reads every row, so it is done rarely for a large cache:
//! the time between two counts grows with the time that one takes.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use niks3_catalog::{CacheCounts, Catalog};
use tokio::sync::Mutex;

/// How old a count of a small cache may be.
const FRESH: Duration = Duration::from_secs(1);
/// How many times longer than a count the time between two of them is.
const REST: u32 = 100;
/// How long a count may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a question waits for a new count before it takes the old one.
const WAIT: Duration = Duration::from_secs(3);

#[derive(Debug)]
struct Counted {
    counts: Arc<CacheCounts>,
    at: Instant,
    took: Duration,
}

impl Counted {
    fn fresh(&self) -> bool {
        self.at.elapsed() < FRESH.max(self.took * REST)
    }
}

/// Counts what the cache holds, and remembers it for a while.
#[derive(Debug, Clone, Default)]
pub struct CacheStats(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: RwLock<Option<Counted>>,
    counting: Mutex<()>,
}

impl CacheStats {
    fn last(&self, fresh: bool) -> Option<Arc<CacheCounts>> {
        let last = self.0.last.read().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .filter(|last| !fresh || last.fresh())
            .map(|last| last.counts.clone())
    }

    /// What the cache holds; not quite now when it is large. `None` when nobody has been able to tell.
    pub async fn current(&self, catalog: &Catalog) -> Option<Arc<CacheCounts>> {
        if let Some(counts) = self.last(true) {
            return Some(counts);
        }
        // Goes on when the asker does not wait for it, once for all askers.
        let counting = tokio::spawn(count(self.clone(), catalog.clone()));
        let _ = tokio::time::timeout(WAIT, counting).await;
        self.last(false)
    }
}

async fn count(stats: CacheStats, catalog: Catalog) {
    let _turn = stats.0.counting.lock().await;
    if stats.last(true).is_some() {
        return;
    }
    let at = Instant::now();
    match tokio::time::timeout(PATIENCE, catalog.count_cache()).await {
        Ok(Ok(counts)) => {
            let counted = Counted {
                counts: Arc::new(counts),
                at: Instant::now(),
                took: at.elapsed(),
            };
            *stats.0.last.write().unwrap_or_else(PoisonError::into_inner) = Some(counted);
        }
        Ok(Err(error)) => tracing::warn!(%error, "what the cache holds could not be counted"),
        Err(_) => tracing::warn!("counting what the cache holds took too long"),
    }
}
