//! `GET /pins`

use super::types::{Pin, Pins};
use super::{App, Error};
use crate::http::wire;

pub(super) async fn list(app: &App, after: Option<&str>, limit: Option<u32>) -> Result<Pins, Error> {
    let limit = wire::page(limit)?;
    let after = wire::after(after)?;
    let pins = app.catalog.pins(after, limit).await?;
    let full = i64::try_from(pins.len()) == Ok(limit);
    Ok(Pins {
        next: pins.last().filter(|_| full).map(|pin| pin.name.clone()),
        pins: pins.into_iter().map(|pin| Pin::of(app, pin)).collect(),
    })
}
