//! Which servers of a database have which policy: each says so as long as it runs.

use std::sync::Arc;
use std::time::Duration;

use niks3_base::error::Error;

use crate::app::App;

/// How often a server says that it runs.
const SAY_EVERY: Duration = Duration::from_secs(20);

/// Says that this server runs, and goes on saying so until it stops; nothing without a policy.
///
/// # Errors
/// When the database does not answer at first.
pub async fn join(app: &Arc<App>) -> Result<(), Error> {
    let Some(file) = app.retention.policy.clone() else {
        return Ok(());
    };
    let instance = app.retention.instance.clone();
    app.catalog.retention_server_lives(&instance, &file.hash).await?;
    tracing::info!(
        policy = file.hash,
        rules = file.policy.rules.len(),
        "retention policy"
    );
    let app = app.clone();
    app.clone().tasks.spawn(async move {
        let mut tick = tokio::time::interval(SAY_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = app.stop.cancelled() => break,
            }
            let said = app.catalog.retention_server_lives(&instance, &file.hash).await;
            if let Err(error) = said {
                tracing::warn!(%error, "other servers may not learn of this one's retention policy");
            }
        }
        let _ = app.catalog.retention_server_stopped(&instance).await;
    });
    Ok(())
}
