//! Ends a push everywhere at once, and remembers the first cause.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Shared by all that works on a push.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
}

impl Stop {
    pub(crate) fn stop(&self) {
        self.token.cancel();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ends when everything should.
    pub(crate) async fn stopped(&self) {
        self.token.cancelled().await;
    }
}

/// Keeps the first error: those after it are mostly its consequences.
#[derive(Debug)]
pub(crate) struct First<E> {
    error: Arc<Mutex<Option<E>>>,
    stop: Stop,
}

impl<E> Clone for First<E> {
    fn clone(&self) -> Self {
        Self {
            error: Arc::clone(&self.error),
            stop: self.stop.clone(),
        }
    }
}

impl<E> First<E> {
    pub(crate) fn new(stop: Stop) -> Self {
        Self {
            error: Arc::default(),
            stop,
        }
    }

    /// Records `error`, unless there is one already, and stops everything.
    pub(crate) fn fail(&self, error: E) {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        self.stop.stop();
    }

    pub(crate) fn take(&self) -> Option<E> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
