//! `GET /pins/{name}`

use super::types::Pin;
use super::{App, Error, PinName};

pub(super) async fn show(app: &App, name: &PinName) -> Result<Pin, Error> {
    let name = name.to_string();
    match app.catalog.pin(&name).await? {
        Some(pin) => Ok(Pin::of(app, pin)),
        None => Err(Error::not_found(format!("there is no pin {name}"))),
    }
}
