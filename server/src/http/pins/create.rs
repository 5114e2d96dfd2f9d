//! `PUT /pins/{name}`

use std::sync::Arc;

use niks3_nix::store_path::StorePath;

use super::types::{CreatePin, Pin};
use super::{App, Error, PinName};
use crate::pins;

pub(super) async fn create(app: &Arc<App>, name: &PinName, body: &CreatePin) -> Result<Pin, Error> {
    let path = path(app, &body.path).map_err(|why| Error::invalid("path", why))?;
    Ok(Pin::of(app, pins::create(app, name, &path).await?))
}

/// The store path that a text names, or names something in.
fn path(app: &App, text: &str) -> Result<StorePath, String> {
    let found = if text.starts_with('/') {
        app.store_dir.parse_inner(text).map(|(path, _)| path)
    } else {
        text.split('/').next().unwrap_or_default().parse()
    };
    found.map_err(|error| error.to_string())
}
