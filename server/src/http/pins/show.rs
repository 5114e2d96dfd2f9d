//! `GET /pins/{name}`

use super::types::Pin;
use super::{App, PinName, Problem};

pub(super) async fn show(app: &App, name: &PinName) -> Result<Pin, Problem> {
    let name = name.to_string();
    match app.catalog.pin(&name).await? {
        Some(pin) => Ok(Pin::of(app, pin)),
        None => Err(Problem::not_found(format!("there is no pin {name}"))),
    }
}
