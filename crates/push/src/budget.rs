//! Memory as a budget: bytes are reserved before they exist, and nobody who holds some waits for more.
//!
//! A packer reserves room for one whole piece, fills it and hands it to an upload before it reserves the
//! next. An upload needs nothing more to finish, so every reservation ends, however small the budget is.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Tokio counts permits in 32 bits: one is a KiB.
const UNIT: u64 = 1024;
/// Every object costs something beside its bytes: a URL, a task, a place in a queue.
const MIN_UNITS: u64 = 16;

/// So many bytes and no more.
#[derive(Debug, Clone)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    units: u64,
}

/// Bytes that may be used until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of `bytes`.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let units = bytes.div_ceil(UNIT).clamp(MIN_UNITS, u64::from(u32::MAX));
        Self {
            semaphore: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    /// Waits for room. Something larger than the whole budget gets all of it.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation, AcquireError> {
        let units = self.units_of(bytes);
        let permit = Arc::clone(&self.semaphore).acquire_many_owned(units).await?;
        Ok(Reservation { permit })
    }

    /// Ends all waiting, now and later.
    pub fn close(&self) {
        self.semaphore.close();
    }

    fn units_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT).clamp(MIN_UNITS, self.units)).unwrap_or(u32::MAX)
    }
}

impl Reservation {
    /// Gives back what is beyond `bytes`.
    pub fn shrink(&mut self, bytes: u64) {
        let keep = usize::try_from(bytes.div_ceil(UNIT).max(MIN_UNITS)).unwrap_or(usize::MAX);
        let excess = self.permit.num_permits().saturating_sub(keep);
        drop(self.permit.split(excess));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_is_larger_than_the_budget_gets_all_of_it() {
        let budget = Budget::new(64 * 1024);
        let all = budget.reserve(1 << 40).await.unwrap();
        let more = tokio::time::timeout(Duration::from_millis(20), budget.reserve(1)).await;
        assert!(more.is_err());
        drop(all);
        budget.reserve(1).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_needed_goes_back() {
        let budget = Budget::new(64 * 1024);
        let mut first = budget.reserve(64 * 1024).await.unwrap();
        first.shrink(20 * 1024);
        budget.reserve(40 * 1024).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_packers_with_a_budget_for_one_all_end() {
        let budget = Budget::new(16 * 1024);
        let packers: Vec<_> = (0..50)
            .map(|i| {
                let budget = budget.clone();
                tokio::spawn(async move {
                    for piece in 0..20 {
                        let reservation = budget.reserve(1024 * (1 + (i * piece) % 40)).await.unwrap();
                        tokio::spawn(async move {
                            tokio::task::yield_now().await;
                            drop(reservation);
                        });
                    }
                })
            })
            .collect();
        for packer in packers {
            tokio::time::timeout(Duration::from_secs(10), packer)
                .await
                .unwrap()
                .unwrap();
        }
    }

    #[tokio::test]
    async fn closing_ends_the_waiting() {
        let budget = Budget::new(16 * 1024);
        let held = budget.reserve(16 * 1024).await.unwrap();
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(1).await.is_err() }
        });
        tokio::task::yield_now().await;
        budget.close();
        assert!(waiting.await.unwrap());
        drop(held);
    }
}
