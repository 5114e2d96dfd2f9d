//! SIGINT and SIGTERM give up cleanly; a second one ends at once.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use niks3_push::CancellationToken;
use tokio::signal::unix::{SignalKind, signal};

/// Hears signals while it lives.
pub(crate) struct Signals {
    token: CancellationToken,
    received: Arc<AtomicU8>,
    task: tokio::task::JoinHandle<()>,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (token, received) = (CancellationToken::new(), Arc::new(AtomicU8::new(0)));
        let task = tokio::spawn({
            let (token, received) = (token.clone(), Arc::clone(&received));
            async move {
                loop {
                    let number = tokio::select! {
                        _ = interrupt.recv() => 2,
                        _ = terminate.recv() => 15,
                    };
                    if token.is_cancelled() {
                        std::process::exit(128 + i32::from(number));
                    }
                    received.store(number, Ordering::Relaxed);
                    token.cancel();
                }
            }
        });
        Ok(Self {
            token,
            received,
            task,
        })
    }

    pub(crate) const fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// The number of the signal that came, if one did.
    pub(crate) fn received(&self) -> Option<u8> {
        Some(self.received.load(Ordering::Relaxed)).filter(|number| *number != 0)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.task.abort();
    }
}
