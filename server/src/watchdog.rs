//! What systemd is told while the server runs.
//!
//! A sign of life means that database and bucket answer, not merely that the process
//! does: when one of them is silent for as long as the unit's `WatchdogSec`, systemd
//! restarts the server. Nothing is lost by that, since nothing that matters lives in it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::app::App;

/// How long database and bucket may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often systemd's patience is asked for within its length.
const SIGNS: u32 = 4;

/// Whether database and bucket answer; or else what is wrong, for whoever runs the server.
async fn answers(app: &App) -> Result<(), String> {
    let (database, bucket) = tokio::join!(
        part("the database", app.catalog.ready()),
        part("the object store", app.bucket.ready())
    );
    database.and(bucket)
}

async fn part<E: std::fmt::Display>(
    name: &str,
    ready: impl Future<Output = Result<(), E>>,
) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, ready).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{name}: {error}")),
        Err(_) => Err(format!("{name} does not answer")),
    }
}

/// Gives systemd signs of life, if it wants any, until the server stops.
pub fn start(app: &Arc<App>) {
    let Some(interval) = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero()) else {
        return;
    };
    let app = app.clone();
    app.tasks.clone().spawn(async move {
        let period = interval / SIGNS;
        let mut known = None;
        loop {
            let state = tokio::select! {
                state = answers(&app) => state,
                () = app.stop.cancelled() => return,
            };
            if state.is_ok() {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
            if known.as_ref() != Some(&state) {
                tell(&state);
                known = Some(state);
            }
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                () = app.stop.cancelled() => return,
            }
        }
    });
}

/// What `systemctl status` shows.
fn tell(state: &Result<(), String>) {
    let text = match state {
        Ok(()) => "database and object store answer",
        Err(why) => {
            tracing::warn!(why, "no sign of life for systemd");
            why
        }
    };
    // One line, whatever an error says: the rest would be other assignments.
    let line = text.lines().next().unwrap_or_default();
    let _ = sd_notify::notify(&[NotifyState::Status(line)]);
}
