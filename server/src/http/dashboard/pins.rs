//! Pins.

use serde::Deserialize;

use super::{PAGE, address};
use crate::app::App;
use crate::error::Error;
use crate::http::wire;
use crate::pages;

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<String>,
}

pub(super) async fn list(app: &App, query: After) -> Result<String, Error> {
    let after = wire::after(query.after.as_deref())?;
    let pins = app.catalog.pins(after, PAGE).await?;
    let full = i64::try_from(pins.len()) == Ok(PAGE);
    let next = pins
        .last()
        .filter(|_| full)
        .map(|last| address("/dashboard/pins", &[("after", &last.name)]));
    Ok(pages::pins::list(&pins, next))
}
