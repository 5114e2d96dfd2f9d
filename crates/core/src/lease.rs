//! Leases in the database: whoever works on something renews its lease beside the work, and stops where the lease ends, since
//! another may begin there.
//!
//! Pins and deletions have deadlines of their own instead: what they wait for are requests to the object store, which
//! nothing can call back.

use std::time::Duration;

use niks3_catalog::CatalogError;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};

/// How long a lease lasts, and how it is renewed.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// From one renewal to the end of the lease. It was taken, or renewed, just now.
    pub length: Duration,
    /// From one renewal to the next.
    pub every: Duration,
    /// Whether the work itself ends the lease as its last step. A renewal that is refused may then come too late by a
    /// moment, so the work goes on until the lease would have ended; otherwise it stops at once.
    pub ended_by_work: bool,
    /// What is leased, for the log: `commit`, `task`.
    pub kind: &'static str,
    /// Which one.
    pub name: &'a str,
}

/// Why work was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseLost {
    /// Another one has the lease, or nobody may have it any more.
    Taken,
    /// The database renewed it for nobody until it ended.
    Expired,
}

impl Lease<'_> {
    /// Works until the work or the lease ends. The renewal runs beside the work, never instead of it: the work may hold
    /// the one writing transaction that the renewal waits for.
    ///
    /// # Errors
    /// [`LeaseLost`], when the lease ended before the work, which is dropped then.
    pub async fn hold<T, F>(
        self,
        mut renew: impl FnMut() -> F,
        work: impl Future<Output = T>,
    ) -> Result<T, LeaseLost>
    where
        F: Future<Output = Result<bool, CatalogError>>,
    {
        let renewing = async {
            let mut ends = Instant::now() + self.length;
            let mut tick = interval(self.every);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = tick.tick() => {}
                    () = sleep_until(ends) => return LeaseLost::Expired,
                }
                let asked = Instant::now();
                match timeout_at(ends, renew()).await {
                    Ok(Ok(true)) => ends = asked + self.length,
                    Ok(Ok(false)) => {
                        if self.ended_by_work {
                            sleep_until(ends).await;
                        }
                        return LeaseLost::Taken;
                    }
                    Ok(Err(error)) => {
                        tracing::warn!(kind = self.kind, name = self.name, %error, "a lease could not be renewed");
                    }
                    Err(_) => return LeaseLost::Expired,
                }
            }
        };
        tokio::select! {
            done = work => Ok(done),
            lost = renewing => Err(lost),
        }
    }
}
