//! What people on call watch, as OpenMetrics. No label has a value that a caller can make up:
//! each is one of a list that this program knows. `docs/metrics.md` describes every metric.
//!
//! What this process has done is counted here; what the cache holds is in [`Census`].

mod census;
mod counted;
mod gauges;

use std::fmt;

use prometheus_client::encoding::text;

pub use census::Census;
pub use counted::{GcWatch, InFlight, Metrics, PushEnd, metrics};

use crate::app::App;

/// `Content-Type` of the exposition.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The exposition: what was counted, and what there is now.
///
/// # Errors
/// Never, as long as there is memory.
pub async fn expose(app: &App) -> Result<String, fmt::Error> {
    let census = app.census.current(&app.catalog).await;
    let now = gauges::registry(app, census.as_deref());
    let mut text = String::with_capacity(64 << 10);
    text::encode_registry(&mut text, metrics().registry())?;
    text::encode_registry(&mut text, &now)?;
    text::encode_eof(&mut text)?;
    Ok(text)
}
