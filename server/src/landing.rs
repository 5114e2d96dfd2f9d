//! The objects that say what the cache is: `nix-cache-info` for Nix, a page for people.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::app::App;
use crate::catalog::now;
use crate::pages::landing::{self, Landing};
use crate::storage::{ObjectKey, StorageError};

/// How often the history and the page are looked after.
const TICK: Duration = Duration::from_secs(600);

/// Writes both where they are missing or no longer true.
///
/// # Errors
/// When the bucket does not answer.
pub async fn write(app: &App) -> Result<(), StorageError> {
    let info = format!(
        "StoreDir: {}\nWantMassQuery: 1\nPriority: {}\n",
        app.store_dir, app.priority
    );
    update(app, &ObjectKey::cache_info(), info).await?;
    write_page(app).await
}

/// Writes the page where it is missing or no longer true; its numbers change with the cache.
///
/// # Errors
/// When the bucket does not answer.
pub async fn write_page(app: &App) -> Result<(), StorageError> {
    let Some(cache) = app.cache_url.as_ref().filter(|_| app.ownership.lost().is_none()) else {
        return Ok(());
    };
    let server = app
        .server_url
        .as_ref()
        .map(|url| url.as_str().trim_end_matches('/'));
    let counts = app.cache_stats.current(&app.catalog).await;
    let page = landing::page(&Landing {
        cache: cache.as_str().trim_end_matches('/'),
        server,
        store_dir: app.store_dir.as_str(),
        keys: &app.signer.public_keys(),
        counts: counts.as_deref(),
    });
    update(app, &ObjectKey::landing_page(), page).await
}

async fn update(app: &App, key: &ObjectKey, text: String) -> Result<(), StorageError> {
    if app.bucket.read(key, text.len()).await?.as_deref() == Some(text.as_bytes()) {
        return Ok(());
    }
    app.bucket.put(key, Bytes::from(text)).await?;
    app.bucket.sync().await
}

/// Writes down what the cache holds, for the history and on the page, until the server stops.
pub async fn keep_current(app: Arc<App>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = app.stop.cancelled() => return,
        }
        let Some(counts) = app.cache_stats.current(&app.catalog).await else {
            continue;
        };
        if let Err(error) = app.catalog.remember_counts(&counts, now()).await {
            tracing::warn!(%error, "the history of the cache's size could not be written");
        }
        if let Err(error) = write_page(&app).await {
            tracing::warn!(%error, "the landing page could not be written");
        }
    }
}
